"""`Popen` for commands of glam-node, whose processes are forked from one that has imported their modules.

An executed command spends most of its time with imports. The process is a child of the test and has what an executed
one has: arguments, environment, directory, open files, session, exit code. Only its command line in /proc differs.
Tests of the command line itself use `subprocess.Popen`.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.fork_server import is_script

PR_SET_CHILD_SUBREAPER = 36
REPOSITORY = Path(__file__).resolve().parents[1]
_lock = threading.Lock()


class _Server:
    """The fork server of this test process."""

    def __init__(self) -> None:
        self._requests, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = dict(os.environ)
        self._process = subprocess.Popen(
            # The last word lets doctor recognise the forked processes as those of a node.
            [sys.executable, "-c", f"from tests.fork_server import main; main({other.fileno()})", "glam-node"],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(other.fileno(),),
        )
        other.close()

    def start(self, request: Mapping[str, Any], files: Sequence[int]) -> int:
        """Start a process with these open files, as a child of this one, and return its process ID."""
        with _lock:
            _adopt_orphans(True)
            try:
                socket.send_fds(self._requests, [json.dumps(request).encode()], files)
                answer = self._requests.recv(32)
            finally:
                _adopt_orphans(False)
        if not answer:
            raise RuntimeError("the fork server has exited; its message is above")
        return int(answer)

    def end(self) -> None:
        """End the server; its processes go on."""
        self._requests.close()
        self._process.wait()


@cache
def _server() -> _Server:
    return _Server()


def end_server() -> None:
    """End the fork server, if there is one."""
    if _server.cache_info().currsize:
        _server().end()
        _server.cache_clear()


def _adopt_orphans(wanted: bool) -> None:
    """Let this process become the parent of orphans: of a process that the one between server and it leaves."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0


class Popen(subprocess.Popen[Any]):
    """A process that is forked from the fork server if it can be, and else executed."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *more: Any) -> None:
        words = [os.fsdecode(word) for word in args]
        close_fds, pass_fds, cwd, env, _, _, shell, *files = more
        p2cread, _, _, c2pwrite, _, errwrite = files[:6]
        umask, start_new_session = files[10:12]
        environment = dict(os.environ if env is None else env)
        if executable or preexec_fn or shell or not close_fds or not _can_be_forked(words, environment):
            super()._execute_child(args, executable, preexec_fn, *more)  # type: ignore[misc]
            return
        sys.audit("subprocess.Popen", words[0], words, cwd, env)
        standard = [own if own != -1 else number for number, own in enumerate((p2cread, c2pwrite, errwrite))]
        request = {
            "words": words,
            "environment": environment,
            "directory": os.fspath(cwd or Path.cwd()),
            "targets": [0, 1, 2, *sorted(pass_fds)],
            "session": start_new_session,
            "umask": _umask() if umask < 0 else umask,
            "parent": os.getpid(),
        }
        self.pid = _server().start(request, [*standard, *sorted(pass_fds)])
        self._child_created = True
        self._close_pipe_fds(*files[:6])  # type: ignore[attr-defined]


def run_command(command: Sequence[str | Path], environment: Mapping[str, str], timeout: float) -> CompletedProcess[str]:
    """Run a command until it exits, and return its exit code and outputs."""
    with Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return CompletedProcess(command, process.returncode, out, err)


def _can_be_forked(words: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether this is a command of glam-node, and Python and the libraries would start as in the server."""
    python = (["-m", "glam_node"], ["-c", *words[2:3]])
    is_ours = is_script(words) or (words[0] == sys.executable and list(words[1:3]) in python)
    is_plain = _read_at_start(environment) == _read_at_start(_server().environment)
    return is_ours and is_plain and not _is_customized(environment)


def _is_customized(environment: Mapping[str, str]) -> bool:
    """Return whether Python runs a module of PYTHONPATH when it starts (documentation of the module site)."""
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    return any((Path(path) / "sitecustomize.py").is_file() for path in paths)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    starts = ("PYTHON", "LD_", "LC_", "LANG", "OMP_", "OPENBLAS_", "MALLOC_")
    return {name: value for name, value in environment.items() if name.startswith(starts) and name != "PYTHONPATH"}


def _umask() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask")]
    return int(line.split()[1], 8)
