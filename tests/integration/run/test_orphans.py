"""A node that adopts orphans, as process 1 of a container does."""

import ctypes
import signal
import subprocess
from pathlib import Path

import psutil

from tests.integration.node_directory import write_node
from tests.integration.run.serving import name_of
from tests.system.node_process import GLAM_NODE
from tests.waiting import wait_until

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of orphans below it; that lasts through exec."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def test_the_processes_of_a_killed_receiver_do_not_stay_zombies(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    settings = node.settings_path.read_text()
    node.settings_path.write_text(settings.replace("[node]", "[node]\nreceiver_processes = 2"))
    log = (tmp_path / "log").open("ab")
    with (
        log,
        subprocess.Popen(
            [GLAM_NODE, "serve"], env=node.environment(), stdout=log, stderr=log, preexec_fn=adopt_orphans
        ) as process,
    ):
        try:
            serve = psutil.Process(process.pid)
            for _ in range(2):
                wait_until(lambda: bool(_receivers(serve)) and len(_receivers(serve)[0].children()) == 2)
                (receiver,) = _receivers(serve)
                forked = receiver.children()
                receiver.send_signal(signal.SIGKILL)
                wait_until(lambda: not any(one.is_running() for one in (receiver, *forked)), told=lambda: forked)  # noqa: B023
                assert not [one for one in serve.children() if one.status() == psutil.STATUS_ZOMBIE]
        finally:
            process.terminate()
    # It still gets the exit codes of its own children.
    log_text = (tmp_path / "log").read_text()
    assert log_text.count("exit_code=-9") == 2
    assert process.returncode == 0


def _receivers(serve: psutil.Process) -> list[psutil.Process]:
    return [child for child in serve.children() if name_of(child) == "glam-receiver"]
