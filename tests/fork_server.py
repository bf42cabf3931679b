"""A process that has imported the modules of glam-node, and forks the programs that tests start.

`tests/preloaded.py` starts it, and sends each request: the words of the command, its environment and directory, and the
open files that it inherits.
"""

import atexit
import fcntl
import gc
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

LARGEST_REQUEST = 2**18
MOST_FILES = 16
ABOVE_ALL = 500
"""Descriptors from this number on are not those of inherited files."""


def preload() -> None:
    """Import what `glam-node serve` and its processes import, in the same order, and Alembic for new databases."""
    gc.disable()
    import_module("glam_node.node.cli.main")
    skipped = import_module("glam_node.node.run.skipped_imports")
    skipped.skip_imports("serve")
    import_module("glam_node.node.run.all_in_one")
    role_module = import_module("glam_node.node.run.supervisor").role_module
    for role in ("worker", "receiver", "dispatcher", "sender", "console"):
        import_module(role_module(role))
    skipped.allow_imports()
    import_module("alembic.command")
    gc.freeze()
    gc.enable()


def main(number: int) -> None:
    """Fork a process for each request that arrives at this socket, and exit with the other end of it."""
    requests = socket.socket(fileno=number)
    preload()
    while True:
        received, files, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, MOST_FILES)
        if not received:
            return
        read_fd, write_fd = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid == 0:
                os.close(read_fd)
                os.close(write_fd)
                requests.close()
                _exit_with(_become(json.loads(received), files))
            os.write(write_fd, str(pid).encode())
            os._exit(0)
        os.waitpid(between, 0)
        requests.send(os.read(read_fd, 32))
        for one in (read_fd, write_fd, *files):
            os.close(one)


def _become(request: dict[str, Any], files: list[int]) -> Callable[[], object]:
    """Give this process what an executed program would have, and return the program."""
    while os.getppid() != request["parent"]:  # once the process between has exited, the test's is the parent
        time.sleep(0.0005)
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD, ABOVE_ALL) for number in files]
    for number in files:
        os.close(number)
    for number, target in zip(moved, request["targets"], strict=True):
        os.dup2(number, target)
        os.close(number)
    if request["session"]:
        os.setsid()
    os.chdir(request["directory"])
    os.umask(request["umask"])
    before = os.environ.get("PYTHONPATH", "")
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.path[:] = [_first_path(request["words"]), *_paths(os.environ.get("PYTHONPATH", "")), *_further_paths(before)]
    return _program(request["words"])


def _first_path(words: Sequence[str]) -> str:
    """Return the first entry of sys.path: the directory of a script, else the working directory."""
    if is_script(words):
        return str(Path(words[0]).parent)
    return str(Path.cwd()) if words[1] == "-m" else ""


def _paths(text: str) -> list[str]:
    return [str(Path(path).absolute()) for path in text.split(os.pathsep) if path]


def _further_paths(before: str) -> list[str]:
    """Return the entries of sys.path that are neither of the command nor of PYTHONPATH."""
    return sys.path[1 + len(_paths(before)) :]


def is_script(words: Sequence[str]) -> bool:
    """Return whether the command is `glam-node`, not `python`."""
    return Path(words[0]).name == "glam-node"


def _program(words: Sequence[str]) -> Callable[[], object]:
    if not is_script(words) and words[1] == "-c":
        sys.argv[:] = ["-c", *words[3:]]
        code = compile(words[2], "<string>", "exec")
        return lambda: exec(code, {"__name__": "__main__"})  # as python -c
    if is_script(words):
        sys.argv[:] = words
    else:
        spec = find_spec("glam_node.__main__")
        assert spec is not None
        sys.argv[:] = [str(spec.origin), *words[3:]]
        sys.modules["__main__"].__package__ = "glam_node"  # by which the name of the program in messages is chosen
    return lambda: sys.exit(import_module("glam_node.node.cli.main").main())


def _exit_with(run: Callable[[], object]) -> NoReturn:
    """Run the program and exit as the interpreter does, but without freeing all objects, which takes long."""
    exit_code = 0
    try:
        run()
    except SystemExit as error:
        exit_code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if exit_code and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
    except Exception:
        exit_code = 1
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)
