"""A person holds a study, sets it aside, or releases it."""

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import jobs, studies
from glam_node.node.domain.job import JobState
from glam_node.node.domain.order import Order
from glam_node.node.domain.standing import LEGAL_STANDINGS, Standing
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.subject import facts_of, reason_of, subject_of, told
from glam_node.node.workflow.tell import tell

log = structlog.get_logger(__name__)


def hold(session: Session, order: Order) -> str:
    """The study waits until it is released: no job of it is made or begun, no result is sent, nothing is removed.

    What a worker or a sender has begun, it ends. Returns what was done. Raises PermanentError when the study is not
    known, not free, retired, or changed since the person saw it.
    """
    _change(session, order, Standing.HELD, "study_held")
    return "the study is held: it is not analysed, and its results are not sent, until it is released"


def set_aside(session: Session, order: Order) -> str:
    """Nobody works on the study any more: a job that waits or runs is superseded, no result is sent, and what is kept
    of it goes with its age.

    Returns what was done. Raises PermanentError as `hold` does, and without a reason.
    """
    if not order.reason:
        raise PermanentError("To set a study aside takes a reason, which stays on its record. Say why.")
    _change(session, order, Standing.SET_ASIDE, "study_set_aside")
    uid = order.study_instance_uid
    for job in jobs.supersede_unfinished(session, uid, order.at):
        tell(log, session, "job_superseded", order.at, study_instance_uid=uid, job_id=job.job_id)
    return "the study is set aside: nobody works on it any more; to release it takes it up again"


def release(session: Session, order: Order) -> str:
    """The study goes on where it was; one that was set aside before its analysis ended is judged again.

    Returns what was done. Raises PermanentError when the study is not known, free, or changed since the person saw it.
    """
    before = subject_of(session, order)
    if before.standing is Standing.FREE:
        raise PermanentError(f"Study {before.study_instance_uid} is neither held nor set aside: nothing was done.")
    study = studies.set_standing(session, before, Standing.FREE, "")
    tell(log, session, "study_released", order.at, was=str(before.standing), **facts_of(order))
    if _was_interrupted(session, study):
        studies.set_state(session, study, StudyState.RECEIVING, "", "")
        return "the study is released, and judged again"
    return "the study is released, and goes on"


def _change(session: Session, order: Order, standing: Standing, event: str) -> None:
    study = subject_of(session, order)
    uid = study.study_instance_uid
    if standing not in LEGAL_STANDINGS[study.standing]:
        remedy = "" if study.standing is standing else f" Release it first: `glam-node release {uid}`."
        raise PermanentError(f"Study {uid} {told(study)} already: nothing was done.{remedy}")
    if study.state is StudyState.RETIRED:
        raise PermanentError(
            f"Study {uid} is retired: its images are removed here, nothing is left to be done with it."
        )
    studies.set_standing(session, study, standing, reason_of(order))
    tell(log, session, event, order.at, was=str(study.standing), **facts_of(order))


def _was_interrupted(session: Session, study: Study) -> bool:
    """Whether the last job was superseded, and no newer one does its work."""
    last = next(iter(jobs.of_study(session, study.study_instance_uid)), None)
    if last is None or last.state is not JobState.SUPERSEDED:
        return False
    return study.state is StudyState.SUBMITTED or (study.state is StudyState.INELIGIBLE and last.is_notice)
