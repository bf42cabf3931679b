"""Delivery of results to an archive that misbehaves in several ways."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.command_line import glam_node
from tests.integration.archive import Archive, warning
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.run.serving import SEG, SR, Serving, results, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def node(_session_archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> NodeDirectory:
    """Return a node that retries after an hour, and waits five seconds for an answer."""
    written = write_node(tmp_path_factory.mktemp("node"), archive_port=_session_archive.port)
    text = written.settings_path.read_text().replace("delay = 0.5", "delay = 3600")
    text = text.replace('ae_title = "ARCHIVE"', 'ae_title = "ARCHIVE"\ntimeout = 5')
    written.settings_path.write_text(text)
    return written


@pytest.fixture(scope="module")
def served(node: NodeDirectory) -> Iterator[Serving]:
    """Run the node for all tests of this module."""
    with serving(node) as running:
        yield running


def deliveries(node: NodeDirectory) -> list[dict[str, Any]]:
    """Return the deliveries of the newest study as `glam-node study` shows them."""
    newest = json.loads(glam_node("--settings", node.settings_path, "studies", "--json").stdout)[0]
    told = glam_node("--settings", node.settings_path, "study", newest["study_instance_uid"], "--json").stdout
    found: list[dict[str, Any]] = json.loads(told)["deliveries"]
    return found


def waiting_for_an_hour(node: NodeDirectory) -> list[dict[str, Any]]:
    """Return the deliveries of the newest study whose failed attempt has ended, so that no sender holds them."""
    later = str(datetime.now(UTC) + timedelta(minutes=30))
    return [one for one in deliveries(node) if one["failure"] and one["next_attempt_at"] > later]


@pytest.mark.features("glam-node send-now")
def test_an_archive_that_aborts_on_segmentations_gets_the_report_and_the_rest_on_resend(
    node: NodeDirectory, served: Serving, archive: Archive
) -> None:
    archive.abort_on = frozenset({SEG})
    send(served.port, small_exam(51))
    wait_until(lambda: results(archive) == {SR: 1})
    # One attempt each, and a second one after the archive accepted the report.
    wait_until(lambda: [one["attempt"] for one in waiting_for_an_hour(node)] == [2] * 4)
    assert all("ended the association" in one["failure"] for one in deliveries(node) if one["kind"] == "SEG")
    archive.abort_on = frozenset()
    told = glam_node("--settings", node.settings_path, "send-now", "archive").stdout
    assert told == "4 waiting results will be sent to archive now.\n"
    wait_until(lambda: results(archive) == {SEG: 4, SR: 1})


def test_an_archive_that_accepts_one_slow_object_an_association_with_a_warning_gets_all(
    node: NodeDirectory, served: Serving, archive: Archive
) -> None:
    archive.an_association, archive.delay_s = 1, 6.0
    archive.statuses = [warning(0xB000, "Series Description coerced")]
    send(served.port, small_exam(52))
    wait_until(lambda: results(archive) == {SEG: 4, SR: 1}, 120, lambda: deliveries(node))
    wait_until(lambda: {one["state"] for one in deliveries(node)} == {"STORED"})
    warnings = [one["warning"] for one in deliveries(node) if one["warning"]]
    assert warnings == ["0xB000 (stored, elements coerced): Series Description coerced"]


def test_results_are_sent_within_a_minute_after_the_archive_is_back(
    node: NodeDirectory, served: Serving, archive: Archive
) -> None:
    archive.stop()
    try:
        send(served.port, small_exam(53))
        wait_until(lambda: any("refused" in one["failure"] for one in deliveries(node)))
    finally:
        archive.start()
    wait_until(lambda: results(archive) == {SEG: 4, SR: 1}, 120, lambda: deliveries(node))
