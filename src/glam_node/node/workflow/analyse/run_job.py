"""The run of one job: claim, analysis, publication, and the record of a failure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from glam_node.inference.errors import DeviceUnavailable, InferenceError, OutOfMemory
from glam_node.inference.findings import Findings
from glam_node.inference.findings_file import encode_findings, read_findings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.predictor import Predictor
from glam_node.inference.study import SourceImage, segment_study
from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindPolicy
from glam_node.node.db import audit, canary, jobs, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import FailureKind, InferenceJob, RetryPolicy
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.files import keep_durable, write_durably
from glam_node.node.storage.findings import findings_path
from glam_node.node.storage.instances import DISK_LOW, InstanceStore
from glam_node.node.workflow.analyse.context import InferenceContext
from glam_node.node.workflow.analyse.publish import LeaseLost, publish
from glam_node.node.workflow.record.events import record_event
from glam_node.node.workflow.record.failure import (
    FAILED_TWICE,
    describe,
    describe_for_job,
    is_out_of_memory,
    kind_of,
    place_of,
)
from glam_node.node.workflow.record.heartbeat import heartbeat

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

AWAY_ATTEMPTS = 150
"""Maximum number of attempts while files cannot be reached; with the longest delay between them they take a day."""
WORKER_DIED = (
    "{attempts} worker processes died while they ran this job, which may be the cause. "
    "Check the logs of the workers and of the system (out of memory?), then run glam-node study retry."
)


def run_job(
    job_id: str,
    *,
    sessions: SessionFactory,
    store: InstanceStore,
    predictor: Predictor,
    context: InferenceContext,
    now: Clock,
    owner: str,
) -> bool:
    """Run a job to its end, or record its failure.

    Args:
        job_id: Job to claim and run.
        sessions: Database sessions.
        store: Storage root with the images; findings and results are written to it.
        predictor: Algorithm that analyses the images.
        context: Settings that all jobs of this worker share.
        now: Clock.
        owner: Name of this process, as `this_process` returns it.

    Returns:
        Whether the job ran. False if the job is not due, is done or belongs to another worker, or if the storage has no
        room or cannot be reached.

    Raises:
        DeviceUnavailable: The device was lost or memory was too short; the failure is recorded, and the next attempt
            needs a new process.
    """
    try:
        store.require()
    except TransientError as error:
        log.warning("job_left_waiting", job_id=job_id, failure=str(error))
        return False
    if not store.has_room(context.least_free_bytes):
        log.warning("job_left_waiting", job_id=job_id, failure=DISK_LOW.format(bytes=context.least_free_bytes))
        return False
    job = _claim_job(job_id, sessions, context, now(), owner)
    if job is None:
        return False
    with structlog.contextvars.bound_contextvars(job_id=job_id, study_instance_uid=job.study_instance_uid):
        try:
            _require_same_settings(job, context)
            with heartbeat(partial(_renew, job, sessions, context, now), every_s=context.lease_time_s / 4):
                findings = analyse(job, sessions=sessions, store=store, predictor=predictor, kinds=context.kinds)
                publish(job, findings, sessions=sessions, store=store, context=context, now=now)
        except LeaseLost:
            log.warning("job_lost", attempt=job.attempt)
            return False
        except Exception as error:
            _record_failure(job, root_cause(error, store), sessions, context, now())
            if isinstance(error, DeviceUnavailable):
                raise
            if is_out_of_memory(error):
                raise OutOfMemory(describe(error)) from error
    return True


def _require_same_settings(job: InferenceJob, context: InferenceContext) -> None:
    """Raise PermanentError if this worker would give other UIDs to the results that the job has already."""
    if job.has_results and job.settings_digest != context.identity.settings_digest:
        raise PermanentError(
            "The study was read with other settings, or by another version of glam-node, so that no results can be "
            "added. `glam-node study retry` reads it again and sends the new results to every destination."
        )


def root_cause(error: Exception, store: InstanceStore) -> Exception:
    """Return the failure of the storage root, if any, because it explains all other failures; else return `error`."""
    try:
        store.require()
    except TransientError as trouble:
        return trouble
    return error


def _claim_job(
    job_id: str, sessions: SessionFactory, context: InferenceContext, now: datetime, owner: str
) -> InferenceJob | None:
    attempts = context.policy.maximum_attempts
    with sessions.begin() as session:
        job = jobs.claim(
            session,
            job_id,
            owner=owner,
            now=now,
            lease_s=context.lease_time_s,
            maximum_attempts=attempts,
            settings_digest=context.identity.settings_digest,
        )
        if job is not None:
            facts = EventDetail(job_id=job_id, attempt=job.attempt, owner=owner)
            record_event(log, session, EventKind.JOB_STARTED, now, study_instance_uid=job.study_instance_uid, **facts)
            return job
        failure = WORKER_DIED.format(attempts=attempts)
        given_up = jobs.give_up_lost(session, job_id, now=now, maximum_attempts=attempts, failure=failure)
        if given_up is not None:
            _ask_for_notice(session, given_up, context, now)
            facts = EventDetail(job_id=job_id, attempt=given_up.attempt, failure=failure, next_attempt_at="")
            audit.record(session, EventKind.JOB_FAILED, now, study_instance_uid=given_up.study_instance_uid, **facts)
            log.error("job_failed", study_instance_uid=given_up.study_instance_uid, **facts)
        return None


def _ask_for_notice(session: Session, job: InferenceJob, context: InferenceContext, now: datetime) -> None:
    """Add a notice that the study was not analysed, unless the job or an earlier one has results already.

    A study with results may be in another state than REPORTED: a late image reopens it.
    """
    has_results = job.has_results or studies.state_of(session, job.study_instance_uid) is StudyState.REPORTED
    if context.notices and not (job.is_notice or has_results or canary.is_present(session, job.study_instance_uid)):
        jobs.add_notice(session, job.study_instance_uid, job.settings_digest, now)


def _renew(job: InferenceJob, sessions: SessionFactory, context: InferenceContext, now: Clock) -> None:
    with sessions.begin() as session:
        jobs.renew(session, job, now=now(), lease_s=context.lease_time_s)


def analyse(
    job: InferenceJob,
    *,
    sessions: SessionFactory,
    store: InstanceStore,
    predictor: Predictor,
    kinds: KindPolicy = CONVENTIONAL_VIEWS,
) -> Findings:
    """Analyse the images of a job, store the findings durably, and return them.

    If an earlier attempt stored findings, these are read instead; those of a job that has results already count even
    if a worker with another device or runtime made them. A notice has no images: its findings are empty and
    are not stored.
    """
    if job.is_notice:
        return Findings(job.study_instance_uid, predictor.algorithm, images=())
    path = findings_path(store.root, job.job_id)
    found = stored_findings(path)
    if found is not None and (job.has_results or found.algorithm == predictor.algorithm):
        keep_durable(path)
        return found
    with reading(sessions)() as session:
        instances = studies.find_instances(session, job.sop_instance_uids)
    found = segment_study(job.study_instance_uid, source_images(instances, store.resolve), predictor, kinds)
    store.require()
    write_durably(path, encode_findings(found))
    return found


def source_images(instances: Sequence[SOPInstance], resolve: Callable[[str], Path]) -> list[SourceImage]:
    """Return the images as input for a predictor.

    Args:
        instances: Images to analyse.
        resolve: Function that returns the file for an instance's path.

    Raises:
        PermanentError: An image is not a screening view.
    """
    try:
        return [
            SourceImage(
                path=resolve(instance.path),
                sop_instance_uid=instance.sop_instance_uid,
                image_laterality=Laterality(instance.attributes.image_laterality),
                view_position=ViewPosition(instance.attributes.view_position),
                shape=(instance.attributes.rows, instance.attributes.columns),
            )
            for instance in instances
        ]
    except ValueError as error:
        raise PermanentError(f"The job has an image that is not a screening view: {error}.") from error


def stored_findings(path: Path) -> Findings | None:
    """Return the findings that an earlier attempt stored; None if there are none, or if they cannot be read."""
    try:
        return read_findings(path)
    except (FileNotFoundError, InferenceError):
        return None


def _next_attempt(job: InferenceJob, kind: FailureKind, policy: RetryPolicy, now: datetime) -> datetime | None:
    """Return the time of the next attempt after a failure of this kind; None when another attempt would not help."""
    failed_so_before = job.failure_kind is kind
    if kind is FailureKind.PERMANENT or (kind is FailureKind.OUT_OF_MEMORY and failed_so_before):
        return None
    if kind is FailureKind.STORAGE_UNREACHABLE:
        return replace(policy, maximum_attempts=AWAY_ATTEMPTS).next_attempt_at(job.attempt, now)
    return policy.next_attempt_at(1 if kind is FailureKind.DISK_FULL else job.attempt, now)


def _record_failure(
    job: InferenceJob, error: Exception, sessions: SessionFactory, context: InferenceContext, now: datetime
) -> None:
    kind, failure = kind_of(error), describe_for_job(error)
    again = _next_attempt(job, kind, context.policy, now)
    if again is None and kind is FailureKind.OUT_OF_MEMORY:
        failure = FAILED_TWICE.format(failure=failure)
    next_attempt_at = again.isoformat() if again else ""
    facts = EventDetail(job_id=job.job_id, attempt=job.attempt, failure=failure, next_attempt_at=next_attempt_at)
    with sessions.begin() as session:
        if jobs.fail(session, job, now=now, failure=failure, kind=kind, next_attempt_at=again):
            if again is None:
                _ask_for_notice(session, job, context, now)
            audit.record(session, EventKind.JOB_FAILED, now, study_instance_uid=job.study_instance_uid, **facts)
    log.error("job_failed", place=place_of(error), **facts)
