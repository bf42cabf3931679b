"""Makes DICOM objects of findings and hands them to delivery; a pure function of stored findings and source headers."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pydicom
import structlog
from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from glam_node.inference.findings import Findings
from glam_node.node.db import audit, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_report import write_measurement_report
from glam_node.node.results.segmentation import write_segmentations
from glam_node.node.storage.files import write_durably
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.context import InferenceContext

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The job is another worker's by now, or superseded; nothing was handed over."""


@dataclass(frozen=True, slots=True)
class Result:
    """One object on disk."""

    kind: str
    """"segmentation" or "measurement_report", as in destinations.NAME.results."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the storage root."""


def publish(
    job: InferenceJob,
    findings: Findings,
    *,
    sessions: SessionFactory,
    store: InstanceStore,
    context: InferenceContext,
    now: Callable[[], datetime],
) -> list[Delivery]:
    """The results are on disk; in one transaction the job is SUCCEEDED, the study REPORTED, each object queued once.

    Publishing the same findings again makes the same objects and queues nothing. Returns what was queued. Raises
    LeaseLost when this run of the job does not hold it any more.
    """
    started = time.monotonic()
    with reading(sessions)() as session:
        instances = studies.find_instances(session, job.sop_instance_uids)
    identity = context.identity.at(job.created_at, job.settings_digest)
    results = write_results(findings, instances, identity, store)
    stages = (*findings.stage_seconds, ("write", time.monotonic() - started))
    with sessions.begin() as session:
        queued = _hand_over(session, job, findings, results, stages, context.destinations, now())
    log.info(
        "job_succeeded",
        job_id=job.job_id,
        study_instance_uid=job.study_instance_uid,
        results=len(results),
        queued=len(queued),
        stage_seconds={stage: round(seconds, 3) for stage, seconds in stages},
    )
    return queued


def write_results(
    findings: Findings, instances: Sequence[SOPInstance], identity: ResultIdentity, store: InstanceStore
) -> list[Result]:
    """All objects for the study, durably on disk, segmentations first; one that is there already is left as it is."""
    paths = {instance.sop_instance_uid: store.resolve(instance.path) for instance in instances}
    sources = {uid: read_source(path, uid) for uid, path in paths.items()}
    segmentations = write_segmentations(findings, sources, identity)
    report = write_measurement_report(findings, sources, segmentations, identity)
    return [
        *(_keep("segmentation", segmentation, store) for segmentation in segmentations),
        _keep("measurement_report", report, store),
    ]


def read_source(path: Path, sop_instance_uid: str) -> Dataset:
    """What a source image says before its pixels. Raises PermanentError when it cannot be read, OSError."""
    # pydicom warns with the offending value, which may be a name, and says it in what it raises.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True)
        except OSError:
            raise
        except Exception as error:
            raise PermanentError(
                f"Image {sop_instance_uid} cannot be read any more ({type(error).__name__}). Send it again."
            ) from error


def _keep(kind: str, dataset: Dataset, store: InstanceStore) -> Result:
    uid = str(dataset.SOPInstanceUID)
    relative = f"results/{dataset.StudyInstanceUID}/{uid}.dcm"
    path = store.resolve(relative)
    if not path.exists():
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        write_durably(path, buffer.getvalue())
    return Result(kind, str(dataset.SOPClassUID), uid, str(dataset.file_meta.TransferSyntaxUID), relative)


def _hand_over(
    session: Session,
    job: InferenceJob,
    findings: Findings,
    results: Sequence[Result],
    stages: Sequence[tuple[str, float]],
    destinations: Mapping[str, tuple[str, ...]],
    now: datetime,
) -> list[Delivery]:
    uid = job.study_instance_uid
    study = studies.get(session, uid, for_update=True)
    version = findings.algorithm.algorithm_version
    if not jobs.succeed(session, job, now=now, algorithm_version=version, stage_seconds=stages):
        raise LeaseLost
    queued = deliveries.add_missing(session, list(_deliveries(job, results, destinations, now)))
    # A study that a late image has reopened meanwhile is judged anew when it is whole.
    if study is not None and study.state is StudyState.SUBMITTED:
        studies.set_state(session, study, StudyState.REPORTED, study.rule, study.reason)
    for result in results:
        facts = {"job_id": job.job_id, "kind": result.kind, "sop_instance_uid": result.sop_instance_uid}
        audit.record(session, "result_written", now, study_instance_uid=uid, **facts)
    failed = sum(image.failure is not None for image in findings.images)
    audit.record(
        session,
        "job_succeeded",
        now,
        study_instance_uid=uid,
        job_id=job.job_id,
        algorithm_version=version,
        images=len(findings.images),
        not_analysed=failed,
        queued=len(queued),
    )
    return queued


def _deliveries(
    job: InferenceJob, results: Sequence[Result], destinations: Mapping[str, tuple[str, ...]], now: datetime
) -> Iterator[Delivery]:
    for destination, wanted in destinations.items():
        for result in results:
            if result.kind in wanted:
                yield Delivery(
                    delivery_id=str(uuid4()),
                    job_id=job.job_id,
                    study_instance_uid=job.study_instance_uid,
                    destination=destination,
                    sop_class_uid=result.sop_class_uid,
                    sop_instance_uid=result.sop_instance_uid,
                    transfer_syntax_uid=result.transfer_syntax_uid,
                    path=result.path,
                    state=DeliveryState.PENDING,
                    attempt=0,
                    next_attempt_at=now,
                    transaction_uid="",
                    failure="",
                    created_at=now,
                    stored_at=None,
                )
