"""Jobs of a node without workers, run in the process of the test."""

from datetime import UTC, datetime

from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.bootstrap import Node, load_configured_predictor
from glam_node.node.db import jobs, studies
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.analyse.run_job import run_job


def state(node: Node, uid: str) -> tuple[StudyState | None, JobState | None]:
    with node.sessions() as session:
        newest = jobs.newest(session, uid)
        return studies.state_of(session, uid), None if newest is None else newest.state


def run(node: Node, uid: str) -> bool:
    """Run the study's job as a worker would."""
    with node.sessions() as session:
        newest = jobs.newest(session, uid)
    assert newest is not None
    predictor = load_configured_predictor(node.settings)
    assert isinstance(predictor, ThresholdPredictor)
    return run_job(
        newest.job_id,
        sessions=node.sessions,
        store=node.store,
        predictor=predictor,
        context=node.inference,
        now=lambda: datetime.now(UTC),
        owner="worker",
    )
