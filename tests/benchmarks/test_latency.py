"""Time from the last C-STORE of a study to the last stored result: by stage, and with a backfill running beside it.

Nothing is asserted about times, which depend on the processor and its load; the report shows them. The aim is that a
backfill at its default load makes live studies at most 10 % slower. The settle time is left out: a site adds its own.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from uuid import NAMESPACE_OID, uuid5

import pytest
from pydicom import Dataset
from sqlalchemy import func, select

from glam_node.inference.phantom import make_exam
from glam_node.node.bootstrap import build_node
from glam_node.node.bootstrap.node import Node
from glam_node.node.db import audit, jobs
from glam_node.node.db.tables import BackfillRow
from glam_node.node.domain.backfill import BackfillState
from glam_node.node.domain.event import Event, EventKind
from glam_node.settings.load import load_settings
from tests.benchmarks.conftest import Record
from tests.integration.archive import Archive, listening
from tests.peers import PEERS
from tests.system.node_process import GLAM_NODE
from tests.system.orthanc import Orthanc, running_orthanc
from tests.system.site import Site, running_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

STUDIES = 8
EARLIER_STUDIES = 20
LIVE_STUDIES = 10
PAUSE_S = 3.0
SETTLE_TIME_S = 1.0
STAGES = ("wait for completion", "hand-over to the worker", "analysis", "writing", "hand-over and delivery")


def test_latency_of_a_study_by_stage(tmp_path: Path, figure: Record) -> None:
    exams = [[view.dataset for view in make_exam(seed)] for seed in range(STUDIES + 1)]
    rounds = []
    with listening(Archive()) as archive:
        settings = {
            "assembly": {"settle_time": SETTLE_TIME_S},
            "destinations": {"archive": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port}},
            "inference": {"predictor": "glam_node.inference.glam.predictor:GlamPredictor", "lease_time": 120},
        }
        with running_site(tmp_path, settings) as site:
            node = build_node(load_settings(site.path, {}))
            for exam in exams:
                rounds.append(seconds_by_stage(site, node, exam))
                time.sleep(1)
    # The first study includes the loading of modules.
    for stage in rounds[0]:
        figure(stage, "s", *(each[stage] for each in rounds[1:]))
    assert set(STAGES) < set(rounds[0])


@pytest.mark.peer("orthanc")
@pytest.mark.peer("orthanc-dicomweb")
def test_latency_of_live_studies_beside_a_backfill(tmp_path: Path, figure: Record) -> None:
    """Measure live studies before, during and after `glam-node backfill` at its default load of 60 studies an hour."""
    exam = [view.dataset for view in make_exam(STUDIES)]
    plugins = (PEERS["orthanc-dicomweb"].program,)
    with listening(Archive()) as archive, running_orthanc(tmp_path / "orthanc", plugins) as orthanc:
        for number in range(EARLIER_STUDIES):
            keep(orthanc, numbered(exam, f"earlier {number}"), tmp_path / "earlier.dcm")
        settings = {
            "assembly": {"settle_time": SETTLE_TIME_S},
            "destinations": {"archive": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port}},
            "sources": {"pacs": {"kind": "dicomweb", "host": "127.0.0.1", "port": orthanc.http_port}},
            "inference": {"predictor": "glam_node.inference.glam.predictor:GlamPredictor", "lease_time": 120},
        }
        with running_site(tmp_path / "node", settings) as site:
            node = build_node(load_settings(site.path, {}))
            seconds_by_stage(site, node, numbered(exam, "first"))  # includes the loading of modules
            alone = live_seconds(site, node, exam, "before")
            with backfill(site, tmp_path / "scores.csv"):
                beside = live_seconds(site, node, exam, "during")
                beside += live_seconds(site, node, exam, "still during")
            alone += live_seconds(site, node, exam, "after")
            with node.sessions() as session:
                fetched = session.scalar(select(func.count()).where(BackfillRow.state == BackfillState.FETCHED))
    figure("last C-STORE to last result, alone", "s", *alone)
    figure("last C-STORE to last result, beside a backfill", "s", *beside)
    figure("mean beside a backfill, of the mean alone", "times", mean(beside) / mean(alone))
    figure("median beside a backfill, of the median alone", "times", median(beside) / median(alone))
    figure("studies fetched meanwhile", "studies", fetched or 0)
    assert fetched


def live_seconds(site: Site, node: Node, exam: list[Dataset], name: str) -> list[float]:
    """Send studies one after the other, and return the time of each from its last C-STORE to its last result."""
    found = []
    for number in range(LIVE_STUDIES):
        stages = seconds_by_stage(site, node, numbered(exam, f"{name} {number}"))
        found.append(stages["last C-STORE to last result"])
        time.sleep(PAUSE_S)
    return found


def numbered(exam: list[Dataset], name: str) -> list[Dataset]:
    """Return the images as another study of another patient."""
    copies = deepcopy(exam)
    for image in copies:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(image, keyword, f"2.25.{uuid5(NAMESPACE_OID, f'{name}/{image[keyword].value}').int}")
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.PatientID, image.StudyDate = name, "20200102"
    return copies


def keep(orthanc: Orthanc, images: list[Dataset], path: Path) -> None:
    """Store images in the archive."""
    for image in images:
        image.save_as(path, enforce_file_format=True)
        orthanc.post("/instances", path.read_bytes())


@contextmanager
def backfill(site: Site, scores: Path) -> Iterator[None]:
    """Run `glam-node backfill` at its default load until the block ends."""
    days = ("--from", "2020-01-01", "--to", "2020-01-03", "--scores", str(scores))
    with scores.with_suffix(".log").open("wb") as log:
        running = subprocess.Popen(
            [GLAM_NODE, "--settings", site.path, "backfill", "pacs", *days], stdout=log, stderr=log
        )
        try:
            yield
            assert running.poll() is None, scores.with_suffix(".log").read_text()
        finally:
            running.terminate()
            running.wait(60)


def seconds_by_stage(site: Site, node: Node, exam: list[Dataset]) -> dict[str, float]:
    """Send a study, wait for its results and return the seconds of each stage and of all together."""
    uid = site.send(exam)
    sent = datetime.now(UTC)

    def timeline() -> list[Event]:
        with node.sessions() as session:
            return audit.timeline(session, uid)

    def last(kind: EventKind) -> datetime:
        return max((one.at for one in timeline() if one.kind is kind), default=sent)

    def is_delivered() -> bool:
        kinds = [one.kind for one in timeline()]
        written = kinds.count(EventKind.RESULT_WRITTEN)
        return 0 < written == kinds.count(EventKind.RESULT_STORED)

    wait_until(is_delivered, 60, lambda: f"{timeline()}: {site.log()}")
    with node.sessions() as session:
        (job,) = jobs.of_study(session, uid)
    stages = dict(job.stage_seconds or ())
    started, succeeded, stored = (
        last(kind) for kind in (EventKind.JOB_STARTED, EventKind.JOB_SUCCEEDED, EventKind.RESULT_STORED)
    )
    completed = last(EventKind.STUDY_COMPLETE)
    writing = stages.pop("write")
    return {
        STAGES[0]: (completed - sent).total_seconds() - SETTLE_TIME_S,
        STAGES[1]: (started - completed).total_seconds(),
        STAGES[2]: (succeeded - started).total_seconds() - writing,
        **{f"{STAGES[2]}: {stage}": seconds for stage, seconds in stages.items()},
        STAGES[3]: writing,
        STAGES[4]: (stored - succeeded).total_seconds(),
        "last C-STORE to last result": (stored - sent).total_seconds() - SETTLE_TIME_S,
    }
