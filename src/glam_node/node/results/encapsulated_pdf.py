"""The summary of a study as a PDF in a DICOM object, for archives and viewers that show no reports (PS3.3 A.45.1)."""

from collections.abc import Mapping

from highdicom.sr import CodedConcept
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_object, reference
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.prior_exams import Priors, comparison_digest
from glam_node.node.results.sources import source_header
from glam_node.node.results.summary_page import TITLE, SummaryPage, summary_page
from glam_node.node.results.time_zone import zone_of
from glam_node.node.results.view_picture import PANEL_HEIGHT, ReadView, hung_view
from glam_node.result_kinds import ENCAPSULATED_PDF


def write_encapsulated_pdf(
    findings: Findings,
    sources: Mapping[str, Dataset],
    identity: ResultIdentity,
    read: ReadView,
    priors: Priors = (),
) -> Dataset:
    """Return the summary of a study as an Encapsulated PDF, in a series of its own.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        identity: The device that writes the summary.
        read: The function that reads a view. A view that cannot be drawn is replaced by the reason.
        priors: The prior exams to which the findings were compared.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    # Only a worker that writes a PDF loads fpdf and fontTools, which takes as long as torch's smaller parts.
    from glam_node.node.results.pdf_page import pdf_page

    images = [sources[image.sop_instance_uid] for image in findings.images]
    page = summary_page(findings, sources, identity, priors)
    creator = f"{identity.manufacturer_model_name} {identity.software_version}"
    pictures = _pictures(page, findings, sources, identity, read)
    document = pdf_page(page, pictures, creator, identity.created(zone_of(images)))
    headers = [source_header(image) for image in images]
    result = new_object(
        headers[0],
        findings.algorithm,
        identity,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        role="encapsulated PDF",
        source_uids=[*(image.sop_instance_uid for image in findings.images), *comparison_digest(priors)],
        series_number=identity.series_number_of(ENCAPSULATED_PDF),
        subject="summary",
    )
    result.ConversionType = "WSD"
    result.AcquisitionDateTime = ""
    result.BurnedInAnnotation = "YES"
    result.RecognizableVisualFeatures = "NO"
    result.DocumentTitle = f"{TITLE}. {page.statement}"
    result.ConceptNameCodeSequence = [CodedConcept.from_code(codes.IMAGING_MEASUREMENT_REPORT)]
    result.VerificationFlag = "UNVERIFIED"
    result.SourceInstanceSequence = [reference(header) for header in headers]
    result.MIMETypeOfEncapsulatedDocument = "application/pdf"
    result.EncapsulatedDocumentLength = len(document)
    result.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    finish(result, images, identity)
    return result


def _pictures(
    page: SummaryPage,
    findings: Findings,
    sources: Mapping[str, Dataset],
    identity: ResultIdentity,
    read: ReadView,
) -> dict[str, Image.Image | str]:
    pictures: dict[str, Image.Image | str] = {}
    for view in page.views:
        if view.image is None or view.failure:
            continue
        uid = view.image.sop_instance_uid
        try:
            reduced = read(uid, PANEL_HEIGHT)
        except UnsupportedMammogram as error:
            pictures[view.name] = str(error)
        else:
            pictures[view.name] = hung_view(reduced, view.image, sources[uid], findings.algorithm, identity)
    return pictures
