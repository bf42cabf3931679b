"""Operators' requests to hold a study, to set it aside, or to release it."""

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import backlog, deliveries, jobs, patient_changes, studies
from glam_node.node.db.standing import holder, set_standing, to_release
from glam_node.node.domain.account import Order
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import LEGAL_STANDINGS, Holder, Standing, Study, StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.operator_study import checked_reason, locked_study, record_order, standing_phrase
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)


def hold(session: Session, order: Order) -> str:
    """Hold a study: until it is released, no job starts, no result is sent and nothing is removed.

    Work in progress is finished.

    Returns:
        A description of what was done, for people.

    Raises:
        PermanentError: The study is not known, is not free, is retired, or has changed since the person saw it.
    """
    _change(session, order, Standing.HELD, EventKind.STUDY_HELD)
    queued = deliveries.of_study(session, order.study_instance_uid)
    sent = sorted({one.destination for one in queued if one.state in (DeliveryState.STORED, DeliveryState.COMMITTED)})
    already = f"; {', '.join(sent)} already had results of it" if sent else ""
    return f"the study is held: it is not analysed, and its results are not sent, until it is released{already}"


def set_aside(session: Session, order: Order) -> str:
    """Set a study aside: its unfinished jobs are superseded, no result is sent, and its files are removed by age.

    Returns:
        A description of what was done, for people.

    Raises:
        PermanentError: The order has no reason, or one of the conditions that `hold` lists applies.
    """
    if not order.reason:
        raise PermanentError("Enter a reason for setting the study aside. It is kept in the study's record.")
    _change(session, order, Standing.SET_ASIDE, EventKind.STUDY_SET_ASIDE)
    uid = order.study_instance_uid
    for job in jobs.supersede_unfinished(session, uid, order.at):
        record_event(log, session, EventKind.JOB_SUPERSEDED, order.at, study_instance_uid=uid, job_id=job.job_id)
    return "the study is set aside: no work is done on it until it is released"


def release(session: Session, order: Order) -> str:
    """Release a study; one that was set aside before its analysis ended is judged again.

    Returns:
        A description of what was done, for people.

    Raises:
        PermanentError: The study is not known, is free, or has changed since the person saw it.
    """
    before = locked_study(session, order)
    if before.standing is Standing.FREE:
        raise PermanentError(f"Study {before.study_instance_uid} is neither held nor set aside: nothing was done.")
    patient_changes.settle(session, before.study_instance_uid, order.at)
    again = _free(session, before, order.at)
    record_order(log, session, EventKind.STUDY_RELEASED, order, was=str(before.standing))
    if again:
        return "the study is released, and the rules are applied to it again"
    return "the study is released, and its work continues"


def release_when_due(session: Session, now: datetime) -> int:
    """Release the studies that a rule held until a time that is over, and return their number."""
    due = to_release(session, now)
    for uid in due:
        study = studies.get(session, uid, for_update=True)
        # A person may have released the study or set it aside, or may hold it now, since the query.
        if study is not None and study.standing is Standing.HELD and holder(session, uid) in (Holder.RULE, Holder.NONE):
            _free(session, study, now)
            reason = f"the time of the hold is over: {study.standing_reason}"
            was = str(study.standing)
            record_event(log, session, EventKind.STUDY_RELEASED, now, study_instance_uid=uid, was=was, reason=reason)
    return len(due)


def free_after_first_read(session: Session, study: Study, read_at: datetime, now: datetime) -> bool:
    """Release a study that a rule holds, since its first read is done; return False if it is no longer held."""
    if study.standing is not Standing.HELD:
        return False
    _free(session, study, now)
    reason = f"the first read is done, as an HL7 message of {read_at:%Y-%m-%d %H:%M:%S} UTC says: the results are sent"
    facts = EventDetail(was=str(study.standing), reason=reason)
    record_event(log, session, EventKind.STUDY_RELEASED, now, study_instance_uid=study.study_instance_uid, **facts)
    return True


def _free(session: Session, before: Study, now: datetime) -> bool:
    """Free a study, and return whether it will be judged again."""
    study = set_standing(session, before, Standing.FREE, "")
    backlog.waits_from(session, study.study_instance_uid, now)
    interrupted = _was_interrupted(session, study)
    if interrupted:
        studies.set_state(session, study, StudyState.RECEIVING, "", "")
    return interrupted


def _change(session: Session, order: Order, standing: Standing, kind: EventKind) -> None:
    study = locked_study(session, order)
    uid = study.study_instance_uid
    if standing not in LEGAL_STANDINGS[study.standing]:
        remedy = "" if study.standing is standing else f" Release it first: `glam-node study release {uid}`."
        raise PermanentError(f"Study {uid} {standing_phrase(study)} already: nothing was done.{remedy}")
    if study.state is StudyState.RETIRED:
        raise PermanentError(
            f"Study {uid} is retired: its images were removed here, so nothing more can be done with it."
        )
    set_standing(session, study, standing, checked_reason(order))
    record_order(log, session, kind, order, was=str(study.standing))


def _was_interrupted(session: Session, study: Study) -> bool:
    """Return whether the study's last job was superseded and no newer one replaces it."""
    last = next(iter(jobs.of_study(session, study.study_instance_uid)), None)
    if last is None or last.state is not JobState.SUPERSEDED:
        return False
    return study.state is StudyState.SUBMITTED or (study.state is StudyState.INELIGIBLE and last.is_notice)
