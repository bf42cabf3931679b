"""Prior exams that analyses wait for: which of them are ready, and the end of the wait."""

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import jobs, priors, studies
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.prior import PriorSearch, PriorState, PriorStudy, SearchState
from glam_node.node.domain.study import Standing, StudyState
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

SETTLED_AT_ONCE = 200


def settle_priors(session: Session, now: datetime) -> int:
    """End the searches that have nothing to wait for or whose time is over, release their jobs, and count them."""
    settled = 0
    for search in priors.open_searches(session, SETTLED_AT_ONCE):
        judged = _judged(session, search)
        if judged.is_finished or now >= judged.until:
            _close(session, judged, now)
            settled += 1
    return settled


def _judged(session: Session, search: PriorSearch) -> PriorSearch:
    """Return the search after judging the exams that the node has."""
    changed = False
    for prior in search.priors:
        if prior.state is PriorState.FETCHED:
            state, failure = _state_of(session, prior)
            if state is not prior.state:
                priors.set_prior(session, search.study_instance_uid, prior.study_instance_uid, state, failure)
                changed = True
    if not changed:
        return search
    session.flush()
    return priors.find(session, search.study_instance_uid) or search


def _state_of(session: Session, prior: PriorStudy) -> tuple[PriorState, str]:
    study = studies.get(session, prior.study_instance_uid)
    if study is None or study.state is StudyState.RETIRED:
        return PriorState.UNUSABLE, "its images were removed"
    if study.standing is not Standing.FREE:
        return PriorState.UNUSABLE, "a person holds it or has set it aside"
    if study.state is StudyState.INELIGIBLE:
        return PriorState.UNUSABLE, f"not analysed: {study.reason}"
    newest = jobs.newest(session, prior.study_instance_uid)
    if newest is not None and newest.state is JobState.FAILED:
        return PriorState.UNUSABLE, f"its analysis failed: {newest.failure}"
    if study.state is StudyState.REPORTED and newest is not None and newest.has_results:
        return PriorState.READY, ""
    return PriorState.FETCHED, ""


def _close(session: Session, search: PriorSearch, now: datetime) -> None:
    uid = search.study_instance_uid
    state = SearchState.DONE if search.is_finished else SearchState.EXPIRED
    released = jobs.release(session, uid, now)
    priors.close(session, uid, state)
    session.flush()
    ended = priors.find(session, uid) or search
    facts = EventDetail(rule=search.plan.rule, reason=ended.outcome(), priors=len(ended.ready))
    if released:
        facts["job_id"] = released[0].job_id
    record_event(log, session, EventKind.PRIORS_SETTLED, now, study_instance_uid=uid, **facts)
