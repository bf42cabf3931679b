"""Start, restart, reload and stop of supervised children."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from glam_node.node.errors import PermanentError
from glam_node.node.run.live_settings import LiveSettings, last_reload, reload_when
from glam_node.node.run.supervisor import Child, Program, stop_together
from glam_node.settings.schema import Settings
from tests.waiting import wait_until

SAY_READY = "import os, time; os.write(int(os.environ['GLAM_NODE_READY_FD']), b'11112\\n'); "


@contextmanager
def child(program: str, grace_s: float = 5.0, environment: dict[str, str] | None = None) -> Iterator[Child]:
    """Run a Python program as a supervised child."""
    running = Child(Program("child", (sys.executable, "-S", "-c", program), environment or dict(os.environ), grace_s))
    try:
        yield running
    finally:
        stop_together([running])


def look_until(running: Child, true: Callable[[], bool]) -> None:
    """Look after the child until the condition holds."""

    def is_true() -> bool:
        running.look()
        return true()

    wait_until(is_true)


def test_a_child_reports_when_it_is_ready() -> None:
    with child(SAY_READY + "time.sleep(60)") as running:
        assert running.word is None
        look_until(running, lambda: running.word is not None)
        assert running.word == "11112"


ANSWERS = """
import os, signal, time
fd = int(os.environ["GLAM_NODE_READY_FD"])
signal.signal(signal.SIGHUP, lambda *_: os.write(fd, b'"there is no such disk"\\n'))
os.write(fd, b"ready\\n")
while True:
    time.sleep(60)
"""


def test_a_child_reports_why_it_refuses_settings_and_uses_them_after_a_restart(tmp_path: Path) -> None:
    live = LiveSettings(Settings(), None, tmp_path, "serve")
    asked = threading.Event()
    with child(ANSWERS) as running:
        look_until(running, lambda: running.word is not None)
        asked.set()
        reload_when(asked, live, [running])
        assert (running.refused, last_reload(tmp_path)) == (None, {})
        look_until(running, lambda: running.refused is not None)
        reload_when(asked, live, [running])
        assert last_reload(tmp_path)["processes"] == {"child": "there is no such disk"}
        running.refused = None
        psutil.Process(running.pid).kill()
        look_until(running, lambda: running.refused == "")


def test_a_child_that_dies_is_restarted(tmp_path: Path) -> None:
    with child(SAY_READY + f"open({str(tmp_path / 'starts')!r}, 'a').write('x')") as running:
        look_until(running, lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text() == "xx")


def test_a_child_that_can_never_start_ends_the_supervisor() -> None:
    with child("raise SystemExit(78)") as running, pytest.raises(PermanentError, match="child cannot start"):
        look_until(running, lambda: False)


def test_a_child_that_was_ready_once_is_restarted_after_any_exit_code(tmp_path: Path) -> None:
    program = SAY_READY + f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); time.sleep(0.3); raise SystemExit(78)"
    with child(program) as running:
        look_until(running, lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text() == "xx")


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace_period() -> None:
    with child("import signal; signal.signal(15, signal.SIG_IGN); " + SAY_READY + "time.sleep(60)", 0.2) as running:
        look_until(running, lambda: running.word is not None)
        started = time.monotonic()
        stop_together([running])
        assert time.monotonic() - started < 5
        assert not psutil.pid_exists(running.pid)


PARENT = """
import os, sys, time
from glam_node.node.run.supervisor import Child, Program, module
Child(Program("sleep", module("process_lifecycle", "/bin/sleep", "60"), dict(os.environ)))
time.sleep(60)
"""


def test_a_child_dies_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT]) as parent:
        [grandchild] = wait_for_children(parent.pid, "sleep")
        parent.kill()
    gone, alive = psutil.wait_procs([grandchild], timeout=30)
    assert (gone, alive) == ([grandchild], [])


def wait_for_children(parent: int, name: str) -> list[psutil.Process]:
    """Return the children of a process, once one runs the program `name`."""

    def found() -> list[psutil.Process]:
        return [process for process in psutil.Process(parent).children() if process.name() == name]

    wait_until(lambda: found() != [])
    return found()
