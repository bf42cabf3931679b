"""Start, restart, reload and stop of supervised children."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from glam_node.node.errors import PermanentError
from glam_node.node.run import live_settings
from glam_node.node.run.forked import execute
from glam_node.node.run.live_settings import LiveSettings, last_reload
from glam_node.node.run.supervisor import Child, Program, stop_together
from glam_node.settings.schema import Settings
from tests.waiting import wait_until

SAY_READY = """import os, time; os.write(int(os.environ['GLAM_NODE_READY_FD']), b'{"ready": "11112"}\\n'); """


@contextmanager
def child(program: str, grace_s: float = 5.0, name: str = "child", **how: Any) -> Iterator[Child]:
    """Run a Python program as a supervised child."""
    run = partial(execute, [sys.executable, "-S", "-c", program])
    running = Child(Program(name, run, dict(os.environ), grace_s, **how))
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


class Reloading:
    """A child and the settings in force, which `reload` reloads with another value of one key."""

    def __init__(self, running: Child, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.live = LiveSettings(Settings(), None, root, "serve")
        self._running = running
        self._root = root
        self._set = partial(monkeypatch.setenv, "GLAM_NODE__STORAGE__MINIMUM_FREE_BYTES")
        running.environment = self.live.environment()

    def reload(self, value: int) -> dict[str, str]:
        """Reload the settings, and return why processes refused them."""
        self._set(str(value))
        asked, before = iter([True]), last_reload(self._root).get("reload", 0)

        def is_answered() -> bool:
            self.live.attend(lambda: next(asked, False), [self._running])
            self._running.look()
            return bool(last_reload(self._root).get("reload", 0) > before)

        wait_until(is_answered)
        return dict(last_reload(self._root)["processes"])


READS_AGAIN = """
import os, signal, time
fd = int(os.environ["GLAM_NODE_READY_FD"])
signal.signal(signal.SIGHUP, lambda *_: os.write(fd, b'{"refused": "there is no such disk"}\\n'))
os.write(fd, b'{"ready": ""}\\n')
while True:
    time.sleep(60)
"""


def test_a_receiver_that_refuses_settings_keeps_running_and_the_node_keeps_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with child(READS_AGAIN, name="receiver", reads_again=True) as running:
        look_until(running, lambda: running.word is not None)
        pid, reloading = running.pid, Reloading(running, tmp_path, monkeypatch)
        assert reloading.reload(1) == {"receiver": "there is no such disk"}
        assert (running.pid, reloading.live.settings) == (pid, Settings())


@pytest.mark.parametrize("told", [None, "there is no such disk"])
def test_a_process_that_fails_with_new_settings_starts_with_the_former_ones_and_the_next_reload_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    words = (
        "" if told is None else f"""os.write(int(os.environ['GLAM_NODE_READY_FD']), b'{{"refused": "{told}"}}\\n'); """
    )
    program = f"""
import os, time
settings = open(os.environ.get("GLAM_NODE_SETTINGS", os.devnull)).read()
if '"minimum_free_bytes": 1,' in settings:
    {words}raise SystemExit(3)
{SAY_READY}
open({str(tmp_path / "started")!r}, "w").write(settings)
time.sleep(60)
"""
    with child(program, name="dispatcher") as running:
        look_until(running, lambda: running.word is not None)
        reloading = Reloading(running, tmp_path, monkeypatch)
        expected = told or "The new process exited with code 3 before it was ready. Its log says why."
        assert reloading.reload(1) == {"dispatcher": expected}
        look_until(running, lambda: running.word is not None)
        assert reloading.reload(2) == {"dispatcher": ""}
        wait_until(lambda: '"minimum_free_bytes": 2,' in (tmp_path / "started").read_text())


ENDS_ITS_WORK = """
import os, signal, time
done = {done!r}
def stop(*_):
    while not os.path.exists(done):
        time.sleep(0.02)
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
"""


def test_a_worker_ends_its_job_before_it_starts_with_new_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_settings, "WORK_S", 0.1)
    program = ENDS_ITS_WORK.format(done=str(tmp_path / "done")) + SAY_READY + "time.sleep(60)"
    with child(program, 0.1, name="worker", ends_its_work=True) as running:
        look_until(running, lambda: running.word is not None)
        pid, reloading = running.pid, Reloading(running, tmp_path, monkeypatch)
        assert reloading.reload(1) == {"worker": ""}
        assert reloading.reload(2) == {"worker": ""}
        assert running.pid == pid
        (tmp_path / "done").touch()
        look_until(running, lambda: running.word is not None)
        assert running.pid != pid


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
from glam_node.node.run.forked import execute
from glam_node.node.run.supervisor import Child, Program
Child(Program("sleep", lambda: execute(["/bin/sleep", "60"]), dict(os.environ)))
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
