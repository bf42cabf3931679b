"""Database rows, written by the node's own queries."""

from sqlalchemy.orm import Session

from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.domain.instance import StudyAttributes
from tests.builders import NOW, delivery, sop_instance


def add_waiting_result(session: Session, destination: str = "archive", *, patient_id: str = "") -> None:
    """Add a study with a finished job and one result that has been waiting for the destination since NOW."""
    studies.add_instance(session, sop_instance(), StudyAttributes(patient_id=patient_id))
    job = jobs.add(session, sop_instance().study_instance_uid, ["2.25.1"], "digest", NOW)
    jobs.supersede_unfinished(session, job.study_instance_uid, NOW)
    deliveries.add_missing(session, [delivery(job_id=job.job_id, destination=destination)])
