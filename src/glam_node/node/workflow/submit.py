"""Judges whole studies, makes one job per set of images, and rings for every job that nobody works on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import jobs, studies
from glam_node.node.domain.eligibility import EligibilityRules
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob, JobState, Priority
from glam_node.node.domain.ports import JobQueue
from glam_node.node.domain.routing import Decision, Headers, SiteRule, decide
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.errors import TransientError
from glam_node.node.workflow.tell import tell

log = structlog.get_logger(__name__)

AT_ONCE = 100
RING_AGAIN_AFTER = timedelta(seconds=30)
"""A ring that nobody followed was lost."""
RUNG_AT_ONCE = 64
"""As many jobs are announced at a time, so that a long queue does not fill the broker with repeated rings."""


@dataclass(frozen=True, slots=True)
class SubmissionRules:
    """How studies become jobs."""

    eligibility: EligibilityRules
    settings_digest: str
    notices: bool
    """An INELIGIBLE study has a job too, which writes that down."""
    priorities: Mapping[str, Priority] = field(default_factory=dict)
    """By the AE title of who sends; whom it does not name sends what is of the day."""
    site: tuple[SiteRule, ...] = ()
    """The site's own, in their order."""

    def priority_of(self, instances: Iterable[SOPInstance]) -> Priority:
        """Of the most urgent that sent one of them."""
        return min(self.priorities.get(one.calling_ae_title, Priority.SCREENING) for one in instances)


def submit_complete_studies(
    session: Session, now: datetime, rules: SubmissionRules, headers: Headers | None = None
) -> list[InferenceJob]:
    """Every COMPLETE study is judged: INELIGIBLE with the reason, or it has a job for exactly its images.

    A study whose images already have a job of the same settings and way (it was reopened by what changes nothing) gets
    no other. Judgement and job are one transaction. Where `headers` are given, what the site's rules ask of images, a
    study with an image that is not in them waits for the next call.
    """
    waiting = studies.complete(session, AT_ONCE)
    known = [study for study in waiting if headers is None or all(one in headers for one in _uids(study))]
    decisions = [(study, decide(study, rules.eligibility, rules.site, headers or {})) for study in known]
    submitted = [_submit(session, study, decision, rules, now) for study, decision in decisions]
    return [job for job in submitted if job is not None]


def _uids(study: Study) -> Iterable[str]:
    return (instance.sop_instance_uid for instance in study.instances)


def _submit(
    session: Session, study: Study, decision: Decision, rules: SubmissionRules, now: datetime
) -> InferenceJob | None:
    if not decision.eligibility.eligible:
        _leave_out(session, study, decision, rules, now)
        return None
    uid, judged, way = study.study_instance_uid, decision.eligibility, decision.routing
    images = tuple(instance.sop_instance_uid for instance in judged.instances)
    because = (judged.rule, judged.reason) if way.rule else (study.rule, study.reason)
    study = studies.set_state(session, study, StudyState.SUBMITTED, *because)
    newest = jobs.newest(session, uid)
    if (
        newest is not None
        and (newest.sop_instance_uids, newest.settings_digest) == (images, rules.settings_digest)
        and newest.routing.same_way(way)
    ):
        if newest.state is JobState.SUCCEEDED:
            studies.set_state(session, study, StudyState.REPORTED, study.rule, study.reason)
        return None
    _supersede(session, uid, now)
    priority = rules.priority_of(judged.instances) if decision.priority is None else decision.priority
    job = jobs.add(session, uid, images, rules.settings_digest, now, priority, way)
    facts = {"images": len(images), "priority": job.priority.name.lower(), "reason": judged.reason}
    ruled = {"rule": way.rule} if way.rule else {}
    tell(log, session, "job_submitted", now, study_instance_uid=uid, job_id=job.job_id, **facts, **ruled)
    return job


def _leave_out(session: Session, study: Study, decision: Decision, rules: SubmissionRules, now: datetime) -> None:
    uid, rule, reason = study.study_instance_uid, decision.eligibility.rule, decision.eligibility.reason
    _supersede(session, uid, now)
    studies.set_state(session, study, StudyState.INELIGIBLE, rule, reason)
    tell(log, session, "study_ineligible", now, study_instance_uid=uid, rule=rule, reason=reason)
    if rules.notices and decision.is_told:
        jobs.add_notice(session, uid, rules.settings_digest, now)


def _supersede(session: Session, study_instance_uid: str, now: datetime) -> None:
    for job in jobs.supersede_unfinished(session, study_instance_uid, now):
        tell(log, session, "job_superseded", now, study_instance_uid=study_instance_uid, job_id=job.job_id)


def ring_waiting_jobs(session: Session, queue: JobQueue, priority: Priority, now: datetime) -> None:
    """Every job of a priority that waits, or whose worker is lost, has been announced within the last half minute.

    Commits before it rings: a broker may be slow. Raises TransientError when the broker is away; the jobs that it did
    not hear of are the first to be announced when it is back.
    """
    waiting = jobs.to_ring(session, priority, now=now, rung_before=now - RING_AGAIN_AFTER, limit=RUNG_AT_ONCE)
    session.commit()
    for number, job_id in enumerate(waiting):
        try:
            queue.ring(job_id, priority)
        except TransientError:
            jobs.set_rung_at(session, waiting[number:], None)
            session.commit()
            raise
