"""Outages of the archive, the worker and the broker: nothing is lost, and nothing is sent twice."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pydicom
import pytest

from tests.integration.postgresql import postgresql_server, url_of
from tests.peers import PEERS
from tests.ports import free_port
from tests.preloaded import Popen
from tests.system.node_process import (
    GLAM_NODE,
    NodeProcess,
    dcmsend,
    phantom_exam,
    running_node,
    settings_and_port,
    small_exam,
    wait_for_state,
)
from tests.system.orthanc import Orthanc
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

THRESHOLD = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"'


def uids(paths: list[Path]) -> list[str]:
    """Return the SOP Instance UIDs in order."""
    return sorted(str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths)


def test_results_wait_for_an_archive_that_is_down_and_are_stored_once(orthanc: Orthanc, tmp_path: Path) -> None:
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD)
    orthanc.stop()
    with running_node(settings_path, port) as node:
        dcmsend(node.port, small_exam(tmp_path / "exam", 1))
        wait_for_state(node, "REPORTED")
        wait_until(lambda: "destinations.archive" in node.log(), told=node.log)
        orthanc.start()
        orthanc.wait_for({"SR": 1, "SEG": 4}, seconds=60)
        time.sleep(3)
        results = orthanc.fetch("SR", tmp_path / "got") + orthanc.fetch("SEG", tmp_path / "got")
        assert len(uids(results)) == len(set(uids(results)))


@pytest.mark.features("assembly.confirm_with")
def test_a_study_of_two_views_is_read_at_once_when_the_archive_has_no_more(orthanc: Orthanc, tmp_path: Path) -> None:
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD)
    asked = settings_path.read_text().replace("quiet_time = 4.0", 'quiet_time = 600.0\nconfirm_with = "archive"')
    settings_path.write_text(asked)
    views = small_exam(tmp_path / "exam", 4)[:2]
    with running_node(settings_path, port) as node:
        dcmsend(orthanc.dicom_port, views, called_ae_title=orthanc.ae_title)
        dcmsend(node.port, views)
        wait_for_state(node, "REPORTED")
        (study,) = node.studies()
        told = json.loads(node.command("study", study["study_instance_uid"], "--json"))
    (complete,) = [event["detail"] for event in told["timeline"] if event["event"] == "study_complete"]
    assert (complete["rule"], complete["reason"].partition(", ")[2]) == (
        "confirmed",
        "L MLO received, all 2 mammograms that archive has",
    )


def test_a_study_sent_twice_is_reported_once(orthanc: Orthanc, tmp_path: Path) -> None:
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD)
    files = small_exam(tmp_path / "exam", 2)
    with running_node(settings_path, port) as node:
        dcmsend(node.port, files)
        orthanc.wait_for({"SR": 1, "SEG": 4}, seconds=60)
        before = uids(orthanc.fetch("SR", tmp_path / "one") + orthanc.fetch("SEG", tmp_path / "one"))
        dcmsend(node.port, files)
        dcmsend(node.port, orthanc.fetch("SEG", tmp_path / "one"))
        time.sleep(8)
        after = uids(orthanc.fetch("SR", tmp_path / "two") + orthanc.fetch("SEG", tmp_path / "two"))
        assert after == before


def test_a_node_killed_outright_finishes_the_study_after_its_next_start(orthanc: Orthanc, tmp_path: Path) -> None:
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD)
    with pytest.raises(AssertionError), running_node(settings_path, port) as node:
        dcmsend(node.port, small_exam(tmp_path / "exam", 3))
        node.process.kill()
        node.process.wait(timeout=60)
    with running_node(settings_path, port):
        orthanc.wait_for({"SR": 1, "SEG": 4}, seconds=60)


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """Run Debian's redis-server on a free port, and yield its URL."""
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = subprocess.Popen([PEERS["redis-server"].program, *arguments], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def worker(settings_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `glam-node worker` as an operator does on another host."""
    log_path = settings_path.parent / f"worker-{free_port()}.log"
    with log_path.open("ab") as log:
        process = Popen(
            [GLAM_NODE, "--settings", str(settings_path), "worker"], stdout=log, stderr=log, env=os.environ.copy()
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.peer("redis-server")
@pytest.mark.features("broker_url = redis", "glam-node worker")
def test_two_workers_on_redis_report_every_study_once(orthanc: Orthanc, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker_url = stack.enter_context(redis_server(tmp_path))
        settings_path, port = settings_and_port(
            tmp_path / "node", orthanc, predictor=THRESHOLD, more=f'broker_url = "{broker_url}"'
        )
        node = stack.enter_context(running_node(settings_path, port))
        for _ in range(2):
            stack.enter_context(worker(settings_path))
        for seed in range(10, 14):
            dcmsend(node.port, small_exam(tmp_path / f"exam{seed}", seed))
        orthanc.wait_for({"SR": 4, "SEG": 16}, seconds=90)
        time.sleep(2)
        assert len(orthanc.instances("SR")) == 4
        assert {study["state"] for study in node.studies()} == {"REPORTED"}


@pytest.mark.peer("redis-server")
@pytest.mark.peer("postgresql")
def test_the_same_road_on_postgresql_and_redis(orthanc: Orthanc, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker_url = stack.enter_context(redis_server(tmp_path))
        database_url = url_of(stack.enter_context(postgresql_server()), "postgres")
        more = f'broker_url = "{broker_url}"\ndatabase_url = "{database_url}"'
        settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD, more=more)
        node = stack.enter_context(running_node(settings_path, port))
        stack.enter_context(worker(settings_path))
        dcmsend(node.port, small_exam(tmp_path / "exam", 20))
        orthanc.wait_for({"SR": 1, "SEG": 4}, seconds=60)
        assert not list((tmp_path / "node" / "storage").glob("*.sqlite"))


@pytest.mark.peer("redis-server")
def test_a_killed_worker_loses_nothing(orthanc: Orthanc, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker_url = stack.enter_context(redis_server(tmp_path))
        settings_path, port = settings_and_port(tmp_path / "node", orthanc, more=f'broker_url = "{broker_url}"')
        node = stack.enter_context(running_node(settings_path, port))
        doomed = stack.enter_context(worker(settings_path))
        dcmsend(node.port, phantom_exam(tmp_path / "exam", "--rows", "1024", "--columns", "832"))
        wait_for_event(node, "job_started")
        doomed.kill()
        stack.enter_context(worker(settings_path))
        orthanc.wait_for({"SR": 1}, seconds=120)
        time.sleep(2)
        assert len(orthanc.instances("SR")) == 1


def wait_for_event(node: NodeProcess, event: str, seconds: float = 60) -> None:
    """Wait until the timeline of the only study has the event."""

    def is_named() -> bool:
        studies = node.studies()
        return bool(studies) and event in node.command("study", studies[0]["study_instance_uid"])

    wait_until(is_named, seconds, node.log)
