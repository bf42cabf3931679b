"""HL7 messages of a job: written to the disk after the objects that they refer to, one for each destination."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.orm import Session

from glam_node.inference.findings import Findings
from glam_node.node.db import deliveries, jobs
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob
from glam_node.node.results.corrected_patient import name_patient
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.message_form import MessageForm
from glam_node.node.results.not_analysed_report import Notice
from glam_node.node.results.result_message import MessageContent, ReferencedObject, write_result_message
from glam_node.node.results.sources import refuse_different_people
from glam_node.node.storage.files import keep_durable, write_durably
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.context import Audience, InferenceContext
from glam_node.node.workflow.analyse.result_maker import UnwrittenResult
from glam_node.node.workflow.analyse.result_writer import Result
from glam_node.node.workflow.analyse.source_images import read_sources
from glam_node.node.workflow.record.failure import is_machine_failure, place_of, reason_for_archive
from glam_node.result_kinds import KINDS_BY_NAME, MESSAGE_CLASS, NOT_ANALYSED_REPORT, RESULT_MESSAGE

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MessageWriter:
    """Writer of the messages of one job."""

    job: InferenceJob
    sessions: SessionFactory
    store: InstanceStore

    def write(
        self,
        form: MessageForm,
        identity: ResultIdentity,
        findings: Findings,
        instances: Sequence[SOPInstance],
        objects: Sequence[ReferencedObject],
        notice: Notice | None = None,
    ) -> Result | UnwrittenResult:
        """Write a message durably, and return it; a message that the job wrote before stays as it is.

        Its UID, and so its control ID, depends only on the job and the destination. If it cannot be written, the reason
        is returned.

        Raises:
            PermanentError: The source images are of two people, or none can be read any more.
            OSError: The disk failed.
        """
        role = f"{RESULT_MESSAGE} {self.job.job_id} {form.destination}"
        uid = identity.derived_uid(role, [one.sop_instance_uid for one in instances], findings.algorithm)
        relative = f"results/{self.job.study_instance_uid}/{uid}.hl7"
        path = self.store.resolve(relative)
        kind = RESULT_MESSAGE if notice is None else NOT_ANALYSED_REPORT
        result = Result(kind, MESSAGE_CLASS, "", uid, "", relative)
        if path.exists():
            keep_durable(path)
            return result
        sources = list(read_sources(instances, self.store.resolve).values())
        name_patient(sources, identity.patient)
        refuse_different_people(sources)
        with reading(self.sessions)() as session:
            corrects = _has_earlier(session, self.job, form.destination)
        priority, priors = self.job.routing.priority, self.job.priors or ()
        content = MessageContent(findings, sources, objects, notice, priority, corrects, priors)
        try:
            message = write_result_message(form, content, identity, uid)
        except Exception as error:
            if is_machine_failure(error):
                raise
            reason = reason_for_archive(error)
            log.warning("result_not_written", kind=kind, failure=reason, place=place_of(error))
            return UnwrittenResult(kind, "", "", reason)
        self.store.require()
        write_durably(path, message)
        return result


def referenced_objects(
    written: Iterable[tuple[Audience, Sequence[Result]]], study_instance_uid: str, context: InferenceContext
) -> list[ReferencedObject]:
    """Return the written objects that are for a destination whose mode is live, each once."""
    found = {}
    for audience, results in written:
        live = [kinds for name, kinds in audience.destinations.items() if not context.kept_reason(name)]
        wanted = {kind for kinds in live for kind in kinds}
        refer = partial(ReferencedObject, study_instance_uid=study_instance_uid)
        for one in results:
            if one.kind in wanted:
                found[one.sop_instance_uid] = refer(
                    kind=one.kind,
                    shown=KINDS_BY_NAME[one.kind].shown,
                    series_instance_uid=one.series_instance_uid,
                    sop_instance_uid=one.sop_instance_uid,
                )
    return list(found.values())


def _has_earlier(session: Session, job: InferenceJob, destination: str) -> bool:
    """Return whether an earlier job of the study queued a message for the destination that was not withheld."""
    uid = job.study_instance_uid
    earlier = {one.job_id for one in jobs.of_study(session, uid) if one.created_at < job.created_at}
    return any(
        one.job_id in earlier
        and one.destination == destination
        and one.sop_class_uid == MESSAGE_CLASS
        and one.state is not DeliveryState.WITHHELD
        for one in deliveries.of_study(session, uid)
    )
