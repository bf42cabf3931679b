"""Reload of settings in a running node."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, deliveries
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.run.live_settings import IN_FORCE
from tests.command_line import glam_node
from tests.integration.archive import Archive
from tests.integration.modality import MODALITY, associated, send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.run.edited_settings import edit, is_admitted
from tests.integration.run.serving import SEG, SR, Serving, results, serving
from tests.ports import free_port
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def written(_session_archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> NodeDirectory:
    return write_node(tmp_path_factory.mktemp("node"), archive_port=_session_archive.port)


@pytest.fixture(scope="module")
def served(written: NodeDirectory) -> Iterator[Serving]:
    """Run one node for all tests of this module."""
    with serving(written) as running:
        yield running


@pytest.fixture
def node(written: NodeDirectory, served: Serving, archive: Archive) -> Iterator[NodeDirectory]:
    """Return the node, and restore its settings after the test."""
    text = written.settings_path.read_text()
    yield written
    written.settings_path.write_text(text)
    reload(written)


def reload(node: NodeDirectory) -> str:
    """Reload the settings and return the output of the command, once the processes use them."""
    before = log(node).count("settings_in_force")
    told = glam_node("--settings", node.settings_path, "settings", "reload").stdout
    assert log(node).count("settings_in_force") == before + 1
    return told


def log(node: NodeDirectory) -> str:
    return (node.path / "log").read_text()


def test_a_reload_admits_a_rejected_peer_and_keeps_open_associations(node: NodeDirectory, served: Serving) -> None:
    first, *others = small_exam(31)
    with associated(served.port) as talking:
        assert talking.send_c_store(first).Status == 0
        assert not is_admitted(served.port, "CT")
        edit(node, ('"MODALITY"', '"CT"'))
        assert reload(node) == (
            "peers.modality.ae_title: 'MODALITY' -> 'CT'; takes effect at once\n1 at once, 0 after a restart\n"
            "applied by dispatcher, sender, receiver\n"
        )
        assert is_admitted(served.port, "CT")
        assert not is_admitted(served.port, MODALITY)
        assert [talking.send_c_store(dataset).Status for dataset in others] == [0, 0, 0]


def test_a_bad_settings_file_changes_nothing_and_every_mistake_is_reported(
    node: NodeDirectory, served: Serving
) -> None:
    built, in_force = node.build(), (node.path / "storage" / IN_FORCE).read_text()
    edit(node, ('"MODALITY"', '"CT"'), ("settle_time = 0.5", "settle_time = -1"), more="\n[nod]\nport = 1\n")
    told = glam_node("--settings", node.settings_path, "settings", "reload", expect=2).stderr
    assert "assembly.settle_time" in told
    assert "nod" in told
    os.kill(served.process.pid, signal.SIGHUP)
    wait_until(lambda: log(node).count("settings_not_reloaded") == 2)
    assert (node.path / "storage" / IN_FORCE).read_text() == in_force
    assert is_admitted(served.port, MODALITY)
    assert not is_admitted(served.port, "CT")
    wait_until(lambda: bool(recorded(built, "settings_refused")))
    (one,) = recorded(built, "settings_refused")
    assert one.detail["process"] == "serve"
    assert [key in one.detail["reason"] for key in ("assembly.settle_time: ", "nod: unknown")] == [True, True]


def test_a_reload_restarts_only_the_processes_that_its_changes_concern(node: NodeDirectory, served: Serving) -> None:
    before = served.children()
    edit(node, more="[retention]\ndays = 9.0\n")
    assert reload(node).endswith("\napplied by dispatcher\n")
    assert {name for name, child in served.children().items() if child.pid != before[name].pid} == {"dispatcher"}


def test_a_reload_replaces_a_process_that_does_not_exit(node: NodeDirectory, served: Serving) -> None:
    edit(node, ("maximum_delay = 0.5", "maximum_delay = 0.7"))
    sender = served.children()["sender"]
    sender.suspend()
    assert reload(node).endswith("\napplied by dispatcher, sender, receiver\n")
    assert served.children()["sender"].pid != sender.pid


def recorded(node: Node, event: str) -> list[Event]:
    """Return the recorded events, newest first."""
    with node.sessions() as session:
        return audit.recent(session, EventKind(event), 10)


ONE = "[rules.one]\nwhen = \"StudyDescription contains 'A'\"\n"
TWO = '[rules.two]\nwhen = "StudyDescription contains \'B\'"\nthen = "shadow"\n'


@pytest.mark.features("glam-node settings diff", "glam-node settings reload")
def test_a_new_order_of_rules_is_reported_in_words(node: NodeDirectory, served: Serving) -> None:
    edit(node, more=ONE + TWO)
    reload(node)
    edit(node, (ONE + TWO, TWO + ONE))
    planned = glam_node("--settings", node.settings_path, "settings", "diff").stdout
    assert planned.startswith("rules: their order is one, two -> two, one; the first rule that holds decides")
    assert reload(node) == planned + "applied by dispatcher, worker\n"
    built = node.build()
    wait_until(lambda: recorded(built, "settings_changed")[0].detail["changed"] == ["order of rules"])


def test_a_process_that_dies_comes_back_with_the_settings_in_force(node: NodeDirectory, served: Serving) -> None:
    edit(node, more="\nnot TOML\n")
    receiver = served.children()["receiver"]
    receiver.kill()
    wait_until(lambda: served.children().get("receiver", receiver).pid != receiver.pid)
    wait_until(lambda: is_admitted(served.port, MODALITY))


def test_a_change_that_needs_a_restart_waits_and_names_the_process(node: NodeDirectory, served: Serving) -> None:
    edit(node, ("lease_time = 3.0", "lease_time = 4.0"), ("maximum_delay = 0.5", "maximum_delay = 0.6"))
    planned = glam_node("--settings", node.settings_path, "settings", "diff").stdout
    assert "1 at once, 1 after a restart" in planned
    assert reload(node) == planned + "applied by dispatcher, sender, receiver\n"
    still = json.loads(glam_node("--settings", node.settings_path, "settings", "diff", "--json").stdout)
    assert [(change["key"], change["in_force"]) for change in still] == [("inference.lease_time", False)]
    assert "worker" in still[0]["restart"]


def test_results_go_to_an_added_destination_and_wait_for_a_removed_one(
    node: NodeDirectory, served: Serving, archive: Archive
) -> None:
    folder = node.path / "folder"
    port, nowhere = f"port = {archive.port}", f"port = {free_port()}"
    edit(node, (port, nowhere), more=f'[destinations.folder]\nkind = "folder"\npath = "{folder}"\n')
    reload(node)
    send(served.port, small_exam(32))
    wait_until(lambda: len(list(folder.glob("*.dcm"))) == 5)
    assert not archive.received
    edit(node, ("[destinations.archive]", "[destinations.other]"))
    kept = "until a section of that name is back, the node keeps 5 results for it"
    for told in (glam_node("--settings", node.settings_path, "settings", "diff").stdout, reload(node)):
        (line,) = [line for line in told.splitlines() if kept in line]
        assert line.startswith("destinations.archive: is removed")
    edit(node, (nowhere, port), ("[destinations.other]", "[destinations.archive]"))
    assert "the node keeps" not in reload(node)
    wait_until(lambda: results(archive) == {SEG: 4, SR: 1})


def test_a_reload_is_recorded_and_jobs_have_the_digest_of_their_settings(
    node: NodeDirectory, served: Serving, archive: Archive
) -> None:
    built = node.build()
    send(served.port, small_exam(33))
    wait_until(lambda: results(archive) == {SEG: 4, SR: 1})
    edit(node, more='[results]\nbanner = "For a test"\n')
    reload(node)
    send(served.port, small_exam(34))
    wait_until(lambda: results(archive) == {SEG: 8, SR: 2})
    digests = {job["settings_digest"] for job in _jobs(node)}
    assert digests == {built.inference.identity.settings_digest, node.build().inference.identity.settings_digest}
    assert len(digests) == 2
    with built.sessions() as session:
        assert audit.recent(session, EventKind.SETTINGS_CHANGED, 1)[0].detail["changed"] == ["results"]
        assert deliveries.counts(session)


def _jobs(node: NodeDirectory) -> list[dict[str, str]]:
    studies = json.loads(glam_node("--settings", node.settings_path, "studies", "--json").stdout)
    uids = [study["study_instance_uid"] for study in studies]
    told = [json.loads(glam_node("--settings", node.settings_path, "study", uid, "--json").stdout) for uid in uids]
    return [job for study in told for job in study["jobs"]]


def test_reload_says_when_no_node_runs(tmp_path: Path) -> None:
    stopped = write_node(tmp_path)
    stopped.build()
    assert "No node runs" in glam_node("--settings", stopped.settings_path, "settings", "reload", expect=1).stderr
