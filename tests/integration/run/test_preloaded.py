"""A command that is forked for a test behaves as the executed one."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.preloaded import Popen
from tests.system.node_process import GLAM_NODE

FACTS = """
import os, signal, sys, threading
print(sys.argv, sys.path, sorted(os.environ.items()), os.getcwd(), oct(os.umask(0)), __name__)
print(os.getppid(), os.getpgid(0) == os.getpgid(os.getppid()), os.getsid(0) == os.getpid(), threading.active_count())
print([signal.getsignal(one) for one in (1, 2, 13, 15)], signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(sorted(os.listdir("/proc/self/fd")), sys.stdin.read(), sys.stdout.line_buffering, sys.flags)
"""
LAST_WORDS = """
import atexit, threading, time
atexit.register(print, "at the exit")
threading.Thread(target=lambda: (time.sleep(0.2), print("of a thread"))).start()
"""
COMMANDS: dict[str, list[Any]] = {
    "the version": [GLAM_NODE, "--version"],
    "a module": [sys.executable, "-m", "glam_node", "nonsense"],
    "wrong use": [GLAM_NODE, "nonsense"],
    "settings that are not there": [GLAM_NODE, "--settings", "nowhere", "status"],
    "facts": [sys.executable, "-c", FACTS, "word", "another"],
    "an exit code": [sys.executable, "-c", "raise SystemExit(3)"],
    "an exit with a message": [sys.executable, "-c", "import sys; sys.exit('so it is')"],
    "last words": [sys.executable, "-c", LAST_WORDS],
    "a kill": [sys.executable, "-c", f"import os; os.kill(os.getpid(), {signal.SIGKILL:d})"],
}


def outcome(kind: type["subprocess.Popen[Any]"], command: list[Any], **options: Any) -> tuple[int, str, str]:
    """Return the exit code and the outputs of a command."""
    pipe = subprocess.PIPE
    with kind(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, **options) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_forked_command_behaves_as_an_executed_one(command: list[Any], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}here", "WORD": "ü"}
    for options in ({"env": dict(os.environ)}, {"start_new_session": True, "cwd": tmp_path, "env": environment}):
        assert outcome(Popen, command, **options) == outcome(subprocess.Popen, command, **options)


def test_a_forked_command_inherits_the_files_that_are_passed() -> None:
    read_fd, write_fd = os.pipe()
    program = f"import os; os.write({write_fd}, b'passed')"
    with Popen([sys.executable, "-c", program], pass_fds=(write_fd,)) as process:
        os.close(write_fd)
        assert os.read(read_fd, 100) == b"passed"
    os.close(read_fd)
    assert process.returncode == 0


def test_a_command_with_a_module_that_python_runs_at_its_start_is_executed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.marked = 1")
    command = [sys.executable, "-c", "import sys; print(sys.marked)"]
    assert outcome(Popen, command, env={**os.environ, "PYTHONPATH": str(tmp_path)}) == (0, "1\n", "")


def test_a_command_with_other_variables_of_the_interpreter_is_executed() -> None:
    command = [sys.executable, "-c", "import sys; print(sys.flags.hash_randomization)"]
    assert outcome(Popen, command, env={**os.environ, "PYTHONHASHSEED": "0"}) == (0, "0\n", "")
