"""Time from the last C-STORE of a study to the last stored result, by stage, on a node that has nothing else to do.

Nothing is asserted but that every stage was found: times depend on the processor and its load, so the report shows
them. The settle time is left out: a site adds its own.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.node.bootstrap import build_node
from glam_node.node.bootstrap.node import Node
from glam_node.node.db import audit, jobs
from glam_node.node.domain.event import Event, EventKind
from glam_node.settings.load import load_settings
from tests.benchmarks.conftest import Record
from tests.integration.archive import Archive, listening
from tests.system.site import Site, running_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

STUDIES = 8
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
