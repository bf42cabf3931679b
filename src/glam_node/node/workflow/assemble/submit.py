"""Submission: judges complete studies, creates a job for each eligible one, and announces waiting jobs to workers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import backfill, canary, imaging_orders, jobs, priors, studies
from glam_node.node.domain.eligibility import EligibilityPolicy
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob, JobState, Priority
from glam_node.node.domain.ports import JobQueue
from glam_node.node.domain.prior import PriorSearch
from glam_node.node.domain.routing import Decision, Headers, SiteRule, as_prior, decide
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.errors import TransientError
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

AT_ONCE = 100
ANNOUNCE_AGAIN_AFTER = timedelta(seconds=30)
"""Time after which a job that no worker has taken is announced again."""
ANNOUNCED_AT_ONCE = 64
"""Number of jobs announced at a time, so that a long queue does not fill the broker with repeated messages."""


@dataclass(frozen=True, slots=True)
class SubmissionPolicy:
    """Settings that decide which studies become jobs."""

    eligibility: EligibilityPolicy
    settings_digest: str
    notices: bool
    """Whether an INELIGIBLE study also gets a job, which writes a report that the study was not analysed."""
    priorities: Mapping[str, Priority] = field(default_factory=dict)
    """Priority by the calling AE title of the sender; other senders have Priority.SCREENING."""
    site: tuple[SiteRule, ...] = ()
    """Rules of the site, in their order."""
    canary_destinations: tuple[str, ...] = ()
    """Names of the only destinations that get results of a canary."""
    authority: str = ""
    """Assigning authority of Patient IDs that state none; empty if the site does not name it."""

    def priority_of(self, instances: Iterable[SOPInstance]) -> Priority:
        """Return the most urgent priority among the senders of the instances."""
        return min(self.priorities.get(one.calling_ae_title, Priority.SCREENING) for one in instances)


PRIOR_ARRIVES_WITHIN = timedelta(hours=1)
"""Time after the wait for prior exams within which images come by its fetch; later ones come for their own sake."""


def submit_complete_studies(
    session: Session, now: datetime, policy: SubmissionPolicy, headers: Headers | None = None
) -> list[InferenceJob]:
    """Judge COMPLETE studies: each becomes INELIGIBLE with the reason, or SUBMITTED with a job for its images.

    A study whose images already have a job with the same settings and routing gets no second job. The judgement and the
    job are stored in one transaction.

    Args:
        session: Database session.
        now: Current time.
        policy: Settings that decide which studies become jobs.
        headers: Header fields that the site's rules ask about, by SOP Instance UID; a study with an image that is not
            among them waits for the next call. None if no rule uses header fields.

    Returns:
        The jobs that were created.
    """
    waiting = studies.waiting_for_judgement(session, AT_ONCE)
    known = [study for study in waiting if headers is None or all(one in headers for one in _uids(study))]
    fetched_by = priors.searches_that_fetched(session, [study.study_instance_uid for study in known])
    decisions = [(study, _decide(session, study, policy, headers, fetched_by)) for study in known]
    submitted = [_submit(session, study, decision, policy, now) for study, decision in decisions]
    return [job for job in submitted if job is not None]


def _decide(
    session: Session,
    study: Study,
    policy: SubmissionPolicy,
    headers: Headers | None,
    fetched_by: Mapping[str, PriorSearch],
) -> Decision:
    decision = decide(study, policy.eligibility, policy.site, headers or {})
    search = fetched_by.get(study.study_instance_uid)
    if search is None or study.last_received_at > search.until + PRIOR_ARRIVES_WITHIN:
        return decision
    waiting = jobs.newest(session, search.study_instance_uid)
    priority = policy.priority_of(study.instances) if waiting is None else waiting.priority
    return replace(as_prior(decision, search.plan), priority=priority)


def _uids(study: Study) -> Iterable[str]:
    return (instance.sop_instance_uid for instance in study.instances)


def _submit(
    session: Session, study: Study, decision: Decision, policy: SubmissionPolicy, now: datetime
) -> InferenceJob | None:
    if not decision.eligibility.eligible:
        _leave_out(session, study, decision, policy, now)
        return None
    uid, judged, way = study.study_instance_uid, decision.eligibility, decision.routing
    is_canary = canary.is_present(session, uid)
    if is_canary:
        way = replace(way, shadow=False, destinations=policy.canary_destinations)
    images = tuple(instance.sop_instance_uid for instance in judged.instances)
    because = (judged.rule, judged.reason) if way.rule else (study.rule, study.reason)
    study = studies.set_state(session, study, StudyState.SUBMITTED, *because)
    newest = jobs.newest(session, uid)
    if (
        newest is not None
        and (newest.sop_instance_uids, newest.settings_digest) == (images, policy.settings_digest)
        and (newest.submitted_routing or newest.routing).same_way(way)
    ):
        if newest.state is JobState.SUCCEEDED:
            studies.set_state(session, study, StudyState.REPORTED, study.rule, study.reason)
        return None
    _supersede(session, uid, now)
    priority, waits_until = _priority(session, study, decision, policy), None
    if decision.priors is not None and priority is not Priority.BACKFILL and not is_canary:
        waits_until = priors.open_search(session, uid, decision.priors, now).until
    job = jobs.add(session, uid, images, policy.settings_digest, now, priority, way, waits_until)
    facts = EventDetail(job_id=job.job_id, images=len(images), priority=job.priority.name.lower())
    facts["reason"] = judged.reason
    if way.rule:
        facts["rule"] = way.rule
    record_event(log, session, EventKind.JOB_SUBMITTED, now, study_instance_uid=uid, **facts)
    return job


def _priority(session: Session, study: Study, decision: Decision, policy: SubmissionPolicy) -> Priority:
    """Return the priority that a rule chooses, else that of the study's order, of its backfill, or of its sender."""
    ordered = imaging_orders.priority_of(session, study, policy.authority)
    if backfill.has_low_priority(session, study.study_instance_uid) and ordered is not Priority.URGENT:
        return Priority.BACKFILL
    if decision.priority is not None:
        return decision.priority
    return policy.priority_of(decision.eligibility.instances) if ordered is None else ordered


def _leave_out(session: Session, study: Study, decision: Decision, policy: SubmissionPolicy, now: datetime) -> None:
    uid, rule, reason = study.study_instance_uid, decision.eligibility.rule, decision.eligibility.reason
    _supersede(session, uid, now)
    studies.set_state(session, study, StudyState.INELIGIBLE, rule, reason)
    record_event(log, session, EventKind.STUDY_INELIGIBLE, now, study_instance_uid=uid, rule=rule, reason=reason)
    if policy.notices and decision.allows_notice and not canary.is_present(session, uid):
        jobs.add_notice(session, uid, policy.settings_digest, now)


def _supersede(session: Session, study_instance_uid: str, now: datetime) -> None:
    for job in jobs.supersede_unfinished(session, study_instance_uid, now, failed=True):
        record_event(
            log, session, EventKind.JOB_SUPERSEDED, now, study_instance_uid=study_instance_uid, job_id=job.job_id
        )


def announce_waiting_jobs(session: Session, queue: JobQueue, priority: Priority, now: datetime) -> None:
    """Announce the jobs of a priority that are due, or whose worker was lost, unless they were announced just now.

    The session is committed before the broker is called, because a broker may be slow.

    Raises:
        TransientError: The broker cannot be reached; the jobs that it did not get are announced first at the next call.
    """
    waiting = jobs.to_announce(session, priority, now=now, before=now - ANNOUNCE_AGAIN_AFTER, limit=ANNOUNCED_AT_ONCE)
    session.commit()
    for number, job_id in enumerate(waiting):
        try:
            queue.announce(job_id, priority)
        except TransientError:
            jobs.set_announced_at(session, waiting[number:], None)
            session.commit()
            raise
