"""Reload of settings by SIGHUP in `glam-node receiver` and `glam-node worker`."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from glam_node.node.db import audit
from glam_node.node.domain.event import Event, EventKind
from glam_node.settings.digest import settings_digest
from glam_node.settings.load import load_settings
from tests.command_line import glam_node
from tests.integration.archive import Archive
from tests.integration.modality import MODALITY, send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.run.edited_settings import edit, is_admitted
from tests.integration.run.serving import SEG, SR, results
from tests.preloaded import Popen
from tests.processes import open_files
from tests.waiting import wait_until

pytestmark = pytest.mark.peer("redis-server")


class Alone:
    """A receiver and a worker started by their commands, in one site with a dispatcher and a sender."""

    def __init__(self, node: NodeDirectory, processes: ExitStack) -> None:
        self.node = node
        self._sessions = node.build().sessions
        self._log = node.path / "alone.log"
        self._processes = [processes.enter_context(self._started(role)) for role in ("receiver", "worker")]
        for process in self._processes:
            processes.callback(process.terminate)
        line = self._processes[0].stdout.readline() if self._processes[0].stdout else ""
        self.port = int(line.split("127.0.0.1:")[1].split()[0])
        wait_until(lambda: "worker_ready" in self.said())

    def _started(self, role: str) -> "subprocess.Popen[str]":
        with self._log.open("ab") as log:
            return Popen(
                [sys.executable, "-m", "glam_node", role],
                env=self.node.environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def refused(self) -> list[Event]:
        """Return the recorded refusals of settings files."""
        with self._sessions() as session:
            return audit.recent(session, EventKind.SETTINGS_REFUSED, 10)

    def directories(self) -> set[Path]:
        """Return the directories of the settings in force."""
        opened = [one for process in self._processes for one in open_files(process.pid)]
        return {path for path in opened if path.name.startswith("glam-node-")}

    def said(self) -> str:
        return self._log.read_text()

    def hang_up(self, word: str, *, times: int) -> None:
        """Send SIGHUP to both, and wait until the word is in the log so many times more."""
        before = self.said().count(word)
        for process in self._processes:
            process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.said().count(word) == before + times)


@pytest.fixture(scope="module")
def alone(_session_archive: Archive, _session_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    node = write_node(tmp_path_factory.mktemp("node"), archive_port=_session_archive.port, broker_url=_session_redis)
    with ExitStack() as processes:
        processes.enter_context(node.running("dispatcher", "sender"))
        yield Alone(node, processes)


@pytest.fixture
def node(alone: Alone) -> Iterator[NodeDirectory]:
    """Return the node, and restore its settings after the test."""
    text = alone.node.settings_path.read_text()
    yield alone.node
    alone.node.settings_path.write_text(text)
    alone.hang_up("settings_in_force", times=2)


def test_reloadable_settings_take_effect_and_others_are_reported(
    alone: Alone, node: NodeDirectory, archive: Archive
) -> None:
    edit(node, ('"MODALITY"', '"CT"'), ("port = 0", "port = 11999"), more='[results]\nbanner = "For a test"\n')
    alone.hang_up("settings_in_force", times=2)
    assert is_admitted(alone.port, "CT")
    assert not is_admitted(alone.port, MODALITY)
    waiting = [line for line in alone.said().splitlines() if "setting_changed" in line and "node.port" in line]
    assert ["glam-node serve (receiver)" in line for line in waiting] == [True, True]
    edit(node, ('"CT"', '"MODALITY"'))
    alone.hang_up("settings_in_force", times=2)
    send(alone.port, small_exam(41))
    wait_until(lambda: results(archive) == {SEG: 4, SR: 1})
    uid = small_exam(41)[0].StudyInstanceUID
    told = json.loads(glam_node("--settings", node.settings_path, "study", uid, "--json").stdout)
    assert [job["settings_digest"] for job in told["jobs"]] == [settings_digest(load_settings(node.settings_path, {}))]


def test_a_bad_settings_file_changes_nothing_and_is_recorded(alone: Alone, node: NodeDirectory) -> None:
    wrong = 'broker_url = "rediss//:hunter2@redis"'
    first = node.settings_path.read_text().splitlines()[1]
    edit(node, (first, wrong), ('"MODALITY"', '"CT"'), more="\n[nod]\nport = 1\n")
    alone.hang_up("broker_url: ", times=2)
    assert is_admitted(alone.port, MODALITY)
    assert not is_admitted(alone.port, "CT")
    wait_until(lambda: len(alone.refused()) == 2)
    refused = alone.refused()
    assert {one.detail["process"] for one in refused} == {"receiver", "worker"}
    for one in refused:
        assert "nod: unknown; did you mean node?" in one.detail["reason"]
        assert "hunter2" not in one.detail["reason"]
    assert "hunter2" not in alone.said()


def test_the_settings_in_force_are_locked_so_that_systemd_tmpfiles_keeps_them(alone: Alone) -> None:
    assert len(alone.directories()) == 2
    for directory in alone.directories():
        descriptor = os.open(directory, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
