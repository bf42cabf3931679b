"""A whole node as one process tree, with the embedded broker."""

import http.client
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from glam_node.node.db import migrate
from glam_node.node.db.engine import sqlite_url
from glam_node.node.run.all_in_one import LOCK_FILE
from glam_node.node.scu.echo import echo
from glam_node.settings.destinations import CStoreSettings
from tests.certificates import Authority
from tests.command_line import glam_node
from tests.integration.archive import Archive, listening
from tests.integration.modality import MODALITY, send, small_exam
from tests.integration.node_directory import SERVE_COMMAND, NodeDirectory, write_node
from tests.integration.run.serving import SEG, SR, Serving, results, serving
from tests.ports import free_port
from tests.preloaded import run_command
from tests.processes import open_files
from tests.waiting import wait_until

OBJECTS = 5
"""The number of result objects of one study."""


def assert_none_is_left(node: Serving, stop: signal.Signals) -> None:
    """Send the signal to the node, and wait until all of its processes have ended."""
    assert len(node.children()) == 5
    children = psutil.Process(node.process.pid).children(recursive=True)
    node.process.send_signal(stop)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert node.process.wait(60) == (0 if stop != signal.SIGKILL else -signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Reported:
    """A running node with a console that has reported one study."""

    directory: NodeDirectory
    node: Serving
    console_port: int
    results: Counter[str]


@pytest.fixture(scope="module")
def reported(_session_archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    """Run one node for this module, and check at the end that no process is left."""
    _session_archive.forget()
    directory = write_node(tmp_path_factory.mktemp("node"), archive_port=_session_archive.port)
    console_port = free_port()
    with directory.settings_path.open("a") as settings:
        settings.write(f"\n[console]\nport = {console_port}\n")
    with serving(directory) as node:
        send(node.port, small_exam(1))
        wait_until(lambda: results(_session_archive).total() >= OBJECTS)
        yield Reported(directory, node, console_port, results(_session_archive))
        assert_none_is_left(node, signal.SIGTERM)


def test_the_results_of_a_study_reach_the_archive(reported: Reported) -> None:
    assert reported.results == {SEG: 4, SR: 1}


def test_the_files_of_a_node_are_accessible_to_its_user_only(reported: Reported) -> None:
    root = reported.directory.build().store.root
    kept = [path for path in root.rglob("*") if not path.is_socket()]
    assert {path.suffix for path in kept} >= {".dcm", ".npz", ".sqlite"}
    assert [path.name for path in kept if path.stat().st_mode & 0o077] == []


def test_the_supervisor_forks_without_threads_and_its_processes_do_not_hold_its_lock(reported: Reported) -> None:
    supervisor, lock = reported.node.process.pid, reported.directory.path / "storage" / LOCK_FILE
    assert psutil.Process(supervisor).num_threads() == 1
    holders = [supervisor, *(child.pid for child in reported.node.children().values())]
    assert [lock in open_files(pid) for pid in holders] == [True, *(5 * [False])]


def test_the_processes_of_a_node_share_most_of_their_memory(reported: Reported) -> None:
    processes = [psutil.Process(reported.node.process.pid), *psutil.Process(reported.node.process.pid).children(True)]
    used = [process.memory_full_info() for process in processes]
    assert sum(one.pss for one in used) < sum(one.rss for one in used) / 2


def test_an_archive_that_was_down_gets_every_result_once_and_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    port = free_port()
    node_directory = write_node(tmp_path, archive_port=port)
    with serving(node_directory) as node:
        send(node.port, small_exam(2))
        wait_until(lambda: "cannot be reached" in (tmp_path / "log").read_text())
        with listening(Archive(port=port)) as archive:
            wait_until(lambda: results(archive) == {SEG: 4, SR: 1})
            time.sleep(1.5)
            assert results(archive) == {SEG: 4, SR: 1}
        assert_none_is_left(node, signal.SIGINT)


def test_killed_processes_are_replaced_and_end_with_a_killed_node(archive: Archive, tmp_path: Path) -> None:
    with serving(write_node(tmp_path, archive_port=archive.port)) as node:
        killed = node.children()
        for process in killed.values():
            process.kill()
        wait_until(lambda: all(node.children().get(role) not in (None, old) for role, old in killed.items()))
        wait_until(lambda: answers(node.port))
        send(node.port, small_exam(3))
        wait_until(lambda: results(archive) == {SEG: 4, SR: 1})
        assert_none_is_left(node, signal.SIGKILL)


def answers(port: int) -> bool:
    """Return whether the node answers a C-ECHO."""
    return echo("node", CStoreSettings(ae_title="GLAMNODE", port=port), MODALITY).ok


def refusal(node: NodeDirectory) -> str:
    """Return the message of a `serve` that does not start."""
    done = run_command(SERVE_COMMAND, node.environment(), 60)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("plain", [True, False])
def test_the_first_line_names_the_ports_of_tls_and_console(plain: bool, tmp_path: Path, authority: Authority) -> None:
    node, signed, tls, console = write_node(tmp_path), authority.sign("node"), free_port(), free_port()
    more = f"[tls]\nport = {tls}\nplain = {str(plain).lower()}\nca = '{signed.ca}'\n"
    files = f"certificate = '{signed.certificate}'\nkey = '{signed.key}'\n"
    with node.settings_path.open("a") as settings:
        settings.write(f"{more}{files}[console]\nport = {console}\n{files}")
    with serving(node) as served:
        both = f"127.0.0.1:{served.port} and 127.0.0.1:{tls} (TLS)" if plain else f"127.0.0.1:{tls} (TLS)"
        assert served.line == f"glam-node: listening on {both} as GLAMNODE, console at https://127.0.0.1:{console}\n"


def test_a_second_node_on_the_same_storage_root_is_refused(reported: Reported) -> None:
    assert f"Another glam-node (process {reported.node.process.pid}) serves" in refusal(reported.directory)


def test_a_port_that_is_taken_is_reported(archive: Archive, tmp_path: Path) -> None:
    said = refusal(write_node(tmp_path, port=archive.port))
    assert "address already in use" in said.lower()
    assert "node.port" in said


def test_an_address_without_a_machine_is_reported(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    node.settings_path.write_text(node.settings_path.read_text().replace("127.0.0.1", "nowhere.invalid", 1))
    said = refusal(node)
    assert re.search(r"cannot listen on nowhere.invalid:\d+: (Name or service not known|.*name resolution)", said), said


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no database": lambda whole: whole[::-1],
    "half of one": lambda whole: whole[: len(whole) // 2],
    "one without its first page": lambda whole: whole[:100] + bytes(3996) + whole[4096:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_database_is_reported_by_every_command(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    node = write_node(tmp_path)
    path = tmp_path / "storage" / "glam-node.sqlite"
    path.parent.mkdir()
    migrate.upgrade(sqlite_url(path))
    whole = path.read_bytes()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(damage(whole))
    doctor = glam_node("--settings", node.settings_path, "doctor", "--json", expect=1).stdout
    (found,) = [one["fact"] for one in json.loads(doctor) if one["check"] == "database"]
    listed = glam_node("--settings", node.settings_path, "study", "list", expect=1).stderr
    for said in (refusal(node), listed, found):
        assert "Traceback" not in said
        assert f"{path} is damaged: " in said
        assert "`glam-node restore`" in said


def test_a_storage_root_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    (tmp_path / "storage").write_text("a file, not a directory")
    assert f"{tmp_path / 'storage'} is not a directory: move it away" in refusal(node)


def test_monitoring_shows_that_the_node_is_ready_and_its_work(reported: Reported) -> None:
    ready = json.loads(asked(reported.console_port, "/readyz"))
    assert {name: fact["ok"] for name, fact in ready.items() if name != "receiver"} == {
        "database": True,
        "storage": True,
        "broker": True,
    }
    stored = 'glam_node_deliveries{destination="archive",state="STORED"} 5.0'
    wait_until(lambda: stored in asked(reported.console_port, "/metrics"))


def asked(port: int, path: str) -> str:
    """Return the body of the console's answer, whatever its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()
