"""Publication: writes the results of a job and queues each of them once for its destinations."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.inference.findings import Findings
from glam_node.node.db import audit, canary, deliveries, jobs, patient_changes, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob, JobState, WrittenKinds
from glam_node.node.domain.routing import ResultDecision
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.not_analysed_report import Notice
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.context import Audience, InferenceContext
from glam_node.node.workflow.analyse.hand_over import new_deliveries, success_detail
from glam_node.node.workflow.analyse.predecessors import earlier_reports
from glam_node.node.workflow.analyse.prior_exams import compare_with_priors
from glam_node.node.workflow.analyse.result_maker import ResultSelection, UnwrittenResult
from glam_node.node.workflow.analyse.result_messages import MessageWriter, referenced_objects
from glam_node.node.workflow.analyse.result_rules import decide_by_findings, hold_results, notify
from glam_node.node.workflow.analyse.result_writer import Result, write_notice, write_results
from glam_node.result_kinds import NOT_ANALYSED_REPORT, RESULT_MESSAGE, wanted_kinds

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Written:
    """Results of a job that were written, and those that could not be."""

    results: list[tuple[Audience, Sequence[Result]]] = field(default_factory=list)
    """Objects for each group of destinations that get the same kinds."""
    unwritten: list[UnwrittenResult] = field(default_factory=list)

    def add(self, audience: Audience, result: Result | UnwrittenResult) -> None:
        """Add a result for a group of destinations, or the reason why it could not be written."""
        if isinstance(result, Result):
            self.results.append((audience, [result]))
        else:
            self.unwritten.append(result)

    @property
    def failure(self) -> str:
        """Sentences about the results that could not be written; empty if everything was written."""
        sentences = dict.fromkeys(map(str, self.unwritten))
        return " ".join([*sentences, REMEDY]) if sentences else ""


REMEDY = (
    "See the log of the worker for the cause; once it is removed, `glam-node study retry` writes the missing results."
)


class LeaseLost(Exception):
    """Error if another worker has taken over the job, or the job was superseded; nothing was queued."""


def publish(
    job: InferenceJob,
    findings: Findings,
    *,
    sessions: SessionFactory,
    store: InstanceStore,
    context: InferenceContext,
    now: Callable[[], datetime],
) -> list[Delivery]:
    """Write the results of a job, then queue them and end the job in one transaction.

    The job becomes SUCCEEDED and its study REPORTED. Publishing the same findings again makes the same objects and
    queues none of them twice.

    Returns:
        The newly queued deliveries.

    Raises:
        LeaseLost: Another worker has taken over the job, or the job was superseded.
        PermanentError: No result could be written.
        TransientError: The storage root is not the one that the worker started with, or cannot be reached.
    """
    started = time.monotonic()
    job = compare_with_priors(job, findings, sessions=sessions, store=store)
    is_settled = job.is_notice or job.has_results or job.routing.is_for_nobody
    decision = None if is_settled else _decision(job, findings, sessions, store, context)
    with reading(sessions)() as session:
        context = context.for_patient(patient_changes.followed(session, job.study_instance_uid))
    if decision is not None:
        job = replace(job, routing=decision.routing(job.routing), submitted_routing=job.routing)
    write = _notices if job.is_notice else _results
    written = write(job, findings, sessions, store, context)
    store.require()  # a file written while a share is not mounted is in the wrong directory
    stages = (*findings.stage_seconds, ("write", time.monotonic() - started))
    with sessions.begin() as session:
        queued = _hand_over(session, job, findings, written, stages, context, now(), decision)
    log.info(
        "job_succeeded",
        job_id=job.job_id,
        study_instance_uid=job.study_instance_uid,
        results=sum(len(made) for _, made in written.results),
        not_written=len(written.unwritten),
        queued=len(queued),
        stage_seconds={stage: round(seconds, 3) for stage, seconds in stages},
    )
    return queued


def _decision(
    job: InferenceJob, findings: Findings, sessions: SessionFactory, store: InstanceStore, context: InferenceContext
) -> ResultDecision | None:
    """Return the decision of the site's rules about results; a job that writes more results keeps its routing.

    These rules are not for canaries, whose destinations are chosen, and about which nobody is notified.
    """
    with reading(sessions)() as session:
        if canary.is_present(session, job.study_instance_uid):
            return None
        instances = studies.find_instances(session, job.sop_instance_uids) if context.site else []
    return decide_by_findings(findings, instances, context.site, store, job.priors or ())


def _results(
    job: InferenceJob, findings: Findings, sessions: SessionFactory, store: InstanceStore, context: InferenceContext
) -> "_Written":
    every = [audience.restricted(job.routing.results) for audience in _audiences(job, context)]
    audiences = [audience.by_kinds() for audience in every if audience.message is None]
    with reading(sessions)() as session:
        instances = studies.find_instances(session, job.sop_instance_uids)
        selections = [[_selection(session, job, group, store) for group in groups] for groups in audiences]
    written = _Written()
    for groups, of_audience in zip(audiences, selections, strict=True):
        identity = _identity(job, context, groups[0], instances)
        made = write_results(findings, instances, identity, store, of_audience, job.priors or ())
        written.results += zip(groups, made.by_selection, strict=True)
        written.unwritten += made.unwritten
    objects = referenced_objects(written.results, job.study_instance_uid, context)
    writer = MessageWriter(job, sessions, store)
    for audience in every:
        if audience.message is not None and RESULT_MESSAGE in audience.wanted:
            identity = _identity(job, context, audience, instances)
            written.add(audience, writer.write(audience.message, identity, findings, instances, objects))
    if written.unwritten and not any(made for _, made in written.results):
        raise PermanentError(f"No result could be written. {written.failure}")
    return written


def _audiences(job: InferenceJob, context: InferenceContext) -> Iterator[Audience]:
    """Yield the audiences of the job, without the destinations whose results it has written otherwise before.

    Those would get all their results a second time, under other UIDs.
    """
    written = job.written_for or {}
    for audience in context.audiences_of(job.routing):
        digest = context.digest_for(audience, job)
        names = [name for name in audience.destinations if name not in written or _same(written[name], digest, job)]
        if names or not audience.destinations:
            yield audience.among(names)


def _same(written: WrittenKinds, digest: str, job: InferenceJob) -> bool:
    """Return whether a job that runs again makes the same objects; the UID of a notice depends on its worker, too."""
    return written.settings_digest == digest and not job.is_notice


def _written_for(job: InferenceJob, context: InferenceContext) -> Mapping[str, WrittenKinds]:
    """Return the kinds that the job has now written for each destination, with those of its earlier runs."""
    written = dict(job.written_for or {})
    for audience in _audiences(job, context):
        for name, kinds in audience.destinations.items():
            asked = {kind for kind in kinds if (kind == NOT_ANALYSED_REPORT) is job.is_notice}
            before = written[name].kinds if name in written else ()
            written[name] = WrittenKinds(context.digest_for(audience, job), tuple(sorted(asked.union(before))))
    return written


def _selection(session: Session, job: InferenceJob, group: Audience, store: InstanceStore) -> ResultSelection:
    reports = earlier_reports(session, job, group.destinations)
    earlier = {sop_class: store.resolve(path) for sop_class, path in reports.items()}
    return ResultSelection(wanted_kinds(group.destinations.values()), group.standby, earlier)


def _notices(
    job: InferenceJob, findings: Findings, sessions: SessionFactory, store: InstanceStore, context: InferenceContext
) -> "_Written":
    """Write the reports that the study was not analysed; write none if that is no longer true."""
    with reading(sessions)() as session:
        study = studies.get(session, job.study_instance_uid)
        newest = jobs.newest(session, job.study_instance_uid)
    notice = notice_on(study, newest)
    if study is None or notice is None:
        return _Written()
    audiences = [one for one in _audiences(job, context) if NOT_ANALYSED_REPORT in one.wanted]
    identities = [_identity(job, context, audience, study.instances) for audience in audiences]
    written = _Written()
    for audience, identity in zip(audiences, identities, strict=True):
        if audience.message is None:
            written.results.append((audience, write_notice(notice, study, findings.algorithm, identity, store)))
    objects = referenced_objects(written.results, job.study_instance_uid, context)
    writer, images = MessageWriter(job, sessions, store), study.one_image_per_series()
    for audience, identity in zip(audiences, identities, strict=True):
        if audience.message is not None and images:
            written.add(audience, writer.write(audience.message, identity, findings, images, objects, notice))
    return written


def _identity(
    job: InferenceJob, context: InferenceContext, audience: Audience, instances: Iterable[SOPInstance]
) -> ResultIdentity:
    identity = context.identity.at(job.created_at, job.settings_digest).presented(audience.presentation)
    return identity.of_versions((instance.sop_instance_uid, instance.version) for instance in instances)


def notice_on(study: Study | None, newest: InferenceJob | None) -> Notice | None:
    """Return why the study has no results: it is INELIGIBLE, or its newest job failed; None in any other case."""
    if study is not None and study.state is StudyState.INELIGIBLE:
        return Notice(attempted=False, reason=f"rule {study.rule}: {study.reason}")
    if study is not None and newest is not None and newest.state is JobState.FAILED:
        return Notice(attempted=True, reason=newest.failure)
    return None


def _hand_over(
    session: Session,
    job: InferenceJob,
    findings: Findings,
    written: _Written,
    stages: Sequence[tuple[str, float]],
    context: InferenceContext,
    now: datetime,
    decision: ResultDecision | None,
) -> list[Delivery]:
    uid = job.study_instance_uid
    study = studies.get(session, uid, for_update=True)
    version = findings.algorithm.algorithm_version
    if not jobs.succeed(
        session,
        job,
        now=now,
        algorithm_version=version,
        stage_seconds=stages,
        failure=written.failure,
        written_for=_written_for(job, context),
        routing=None if decision is None else job.routing,
    ):
        raise LeaseLost
    queued = deliveries.add_missing(
        session,
        [one for audience, made in written.results for one in new_deliveries(job, made, audience, context, now)],
    )
    # A study that a late image has reopened meanwhile is judged again when it is complete.
    if study is not None and study.state is StudyState.SUBMITTED and not job.is_notice:
        because = (study.rule, study.reason) if decision is None else (decision.rule.title, decision.reason)
        study = studies.set_state(session, study, StudyState.REPORTED, *because)
        hold_results(session, study, queued, decision, now, context.released_by)
        notify(session, study, decision, now)
    _record_results(session, job, written, now)
    detail = success_detail(job, findings, queued, context)
    if decision is not None:
        detail |= {"rule": decision.rule.title, "reason": decision.reason}
    audit.record(session, EventKind.JOB_SUCCEEDED, now, study_instance_uid=uid, **detail)
    return queued


def _record_results(session: Session, job: InferenceJob, written: _Written, now: datetime) -> None:
    """Record one event per object, whatever the number of its destinations, and one per result that was not written."""
    objects = {one.sop_instance_uid: one for _, made in written.results for one in made}
    for result in objects.values():
        facts = EventDetail(job_id=job.job_id, kind=result.kind, sop_instance_uid=result.sop_instance_uid)
        audit.record(session, EventKind.RESULT_WRITTEN, now, study_instance_uid=job.study_instance_uid, **facts)
    for one in dict.fromkeys(written.unwritten):
        facts = EventDetail(job_id=job.job_id, kind=one.kind, view=one.view, image=one.sop_instance_uid)
        facts["failure"] = one.reason
        audit.record(session, EventKind.RESULT_NOT_WRITTEN, now, study_instance_uid=job.study_instance_uid, **facts)
