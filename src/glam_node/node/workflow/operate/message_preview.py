"""Preview of the HL7 message of a study, with a made-up patient, as its results would be sent now."""

from collections.abc import Iterable, Iterator

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.study import Study
from glam_node.node.errors import PermanentError
from glam_node.node.results.example_message import example_source
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.message_form import MessageForm
from glam_node.node.results.result_message import (
    MessageContent,
    ReferencedObject,
    write_result_message,
)
from glam_node.node.storage.findings import findings_path, newest_analysis
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.run_job import stored_findings
from glam_node.node.workflow.analyse.source_images import read_sources
from glam_node.result_kinds import RESULT_KINDS

_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
_HEADER = ["SOPClassUID", "SeriesInstanceUID", "SOPInstanceUID"]


def preview_message(
    form: MessageForm, study: Study, identity: ResultIdentity, sessions: SessionFactory, store: InstanceStore
) -> bytes:
    """Return the message of the newest analysis of a study, with the patient of an example.

    Raises:
        PermanentError: The study was not analysed, its files were removed, or the template has a mistake.
    """
    uid = study.study_instance_uid
    with sessions() as session:
        its_jobs = jobs.of_study(session, uid)
        job = newest_analysis(its_jobs)
        instances = studies.find_instances(session, job.sop_instance_uids) if job else []
        sent = deliveries.of_study(session, uid)
    findings = stored_findings(findings_path(store.root, job.job_id)) if job else None
    if job is None or findings is None or not instances:
        raise PermanentError(
            f"Study {uid} was not analysed, or its files were removed. `glam-node study show {uid}` says which."
        )
    sources = [_with_example_patient(one) for one in read_sources(instances, store.resolve).values()]
    objects = list(_objects((one for one in sent if one.job_id == job.job_id), uid, store))
    identity = identity.at(job.created_at, job.settings_digest)
    content = MessageContent(findings, sources, objects, priors=job.priors or ())
    return write_result_message(form, content, identity, f"preview {job.job_id}")


def _with_example_patient(source: Dataset) -> Dataset:
    example = example_source()
    source.pop("IssuerOfPatientIDQualifiersSequence", None)
    for keyword in _PATIENT:
        setattr(source, keyword, example.get(keyword))
    return source


def _objects(sent: Iterable[Delivery], study_instance_uid: str, store: InstanceStore) -> Iterator[ReferencedObject]:
    kinds = {kind.sop_class_uid: kind for kind in reversed(RESULT_KINDS)}
    paths = {one.sop_instance_uid: store.resolve(one.path) for one in sent if one.sop_class_uid in kinds}
    for path in paths.values():
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=_HEADER)
        except (OSError, InvalidDicomError):
            continue
        kind = kinds[str(header.SOPClassUID)]
        series, uid = str(header.SeriesInstanceUID), str(header.SOPInstanceUID)
        yield ReferencedObject(kind.name, kind.shown, study_instance_uid, series, uid)
