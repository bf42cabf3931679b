"""The facts of the one-page summary of a study, from which the PDF and the page of the console are made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality
from glam_node.node.domain.words import counted, date, person_name
from glam_node.node.results import codes
from glam_node.node.results.identity import VIEW_ORDER, ResultIdentity, view_name
from glam_node.node.results.prior_exams import Priors, prior_sentences
from glam_node.node.results.scores import (
    BREAST_SCORE_MEANING,
    STUDY_SCORE_MEANING,
    breast_scores,
    calibration_statements,
    image_score,
    operating_point,
    reaches,
    shown_score,
    study_score,
)
from glam_node.node.results.sources import patient_name, source_header
from glam_node.node.results.time_zone import zone_of
from glam_node.node.results.tracking import tracked_findings

TITLE = "Mammography analysis: summary"
SHOWN_KINDS = (FindingKind.MALIGNANT, FindingKind.BENIGN)
"""The classes in the order of the columns."""
NOT_STATED = "not stated"

_BREASTS = {Laterality.RIGHT: "Right breast", Laterality.LEFT: "Left breast"}

Labelled = tuple[str, str]
"""A label and its value."""


@dataclass(frozen=True, slots=True)
class SummaryFinding:
    """A finding as it is listed below its view."""

    kind: FindingKind
    text: str


@dataclass(frozen=True, slots=True)
class SummaryView:
    """One of the four views."""

    name: str
    image: ImageFindings | None
    """The image of the view; None if no image of it was given to the analysis."""
    text: str
    """The scores and the number of findings, or that there are none."""
    findings: tuple[SummaryFinding, ...] = ()
    failure: str = ""
    """The reason why the view was not analysed and its picture is not shown; empty if it was analysed."""
    remarks: tuple[str, ...] = ()
    """Doubts about an image that was analysed."""


@dataclass(frozen=True, slots=True)
class SummaryScore:
    """The score of a class, and whether images reach the operating point of the class."""

    text: str
    operating_point: str
    """Empty if the algorithm states no operating point, or outlines every image."""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The scores of a breast or of the study."""

    name: str
    outcome: str
    scores: tuple[SummaryScore, ...]
    """In the order of SHOWN_KINDS."""


@dataclass(frozen=True, slots=True)
class SummaryPage:
    """The facts that the page states."""

    statement: str
    """The statement of the intended use."""
    patient: tuple[Labelled, ...]
    """The patient and the study; only people who may see patients may see it."""
    views: tuple[SummaryView, ...]
    """In the order of VIEW_ORDER."""
    rows: tuple[SummaryRow, ...]
    remarks: tuple[str, ...]
    """Views that were not analysed, with the reason, and doubts about those that were."""
    notes: tuple[str, ...]
    """The meaning of the scores."""
    origin: tuple[Labelled, ...]
    """The model, the node and the time of the results."""
    priors: tuple[str, ...] = ()
    """Sentences about prior exams, what matters most first; the first says that they are context."""

    @property
    def kinds(self) -> tuple[FindingKind, ...]:
        """The classes in the order of the scores of a row."""
        return SHOWN_KINDS


def summary_page(
    findings: Findings, sources: Mapping[str, Dataset], identity: ResultIdentity, priors: Priors = ()
) -> SummaryPage:
    """Return the facts of the page.

    Args:
        findings: The findings of the study, with at least one image.
        sources: Source data set by SOP Instance UID.
        identity: The device that writes the results.
        priors: The prior exams to which the findings were compared.

    Raises:
        PermanentError: A source lacks a UID.
    """
    images = {(image.image_laterality, image.view_position): image for image in findings.images}
    views = tuple(
        _view(f"{laterality} {position}", images.get((laterality, position)), findings.algorithm, identity)
        for laterality, position in VIEW_ORDER
    )
    of_images = [sources[image.sop_instance_uid] for image in findings.images]
    return SummaryPage(
        statement=identity.statement(findings.algorithm),
        patient=_patient(of_images[0]),
        views=views,
        rows=tuple(_rows(findings, identity)),
        remarks=tuple(_remarks(views)),
        notes=(BREAST_SCORE_MEANING, STUDY_SCORE_MEANING, *_score_notes(findings.algorithm, identity)),
        origin=_origin(findings, of_images, identity),
        priors=tuple(prior_sentences(priors, findings, identity)),
    )


def _view(
    name: str, image: ImageFindings | None, algorithm: AlgorithmIdentification, identity: ResultIdentity
) -> SummaryView:
    if image is None:
        return SummaryView(
            name, None, "no image", failure="No image of this view was received, or none that is analysed."
        )
    if image.failure is not None:
        return SummaryView(name, image, "not analysed", failure=image.failure, remarks=image.remarks)
    found = counted(len(image.findings), "finding") if image.findings else "no findings"
    scores = [
        f"{kind} {shown_score(score, kind, algorithm, identity.score_scale).text}"
        for kind in SHOWN_KINDS
        if (score := image_score(image, kind)) is not None
    ]
    listed = tuple(
        SummaryFinding(one.finding.kind, f"{one.tracking_id.removeprefix(f'{name} ')}: {one.shown.text}")
        for one in tracked_findings(image, algorithm, identity)
    )
    return SummaryView(name, image, f"{', '.join(scores)}; {found}", listed, remarks=image.remarks)


def _remarks(views: Sequence[SummaryView]) -> Iterator[str]:
    yield from (f"{view.name}: {view.text}. {view.failure}" for view in views if view.failure)
    yield from (f"{view.name}: {remark}" for view in views for remark in view.remarks)


def _patient(source: Dataset) -> tuple[Labelled, ...]:
    header = source_header(source)
    facts = {
        "Patient": person_name(str(patient_name(source))),
        "Patient ID": str(header.PatientID),
        "Birth date": date(str(header.PatientBirthDate)),
        "Study date": date(str(header.StudyDate)),
        "Accession number": str(header.AccessionNumber),
        "Sex": str(header.PatientSex),
    }
    return tuple((label, value or NOT_STATED) for label, value in facts.items())


def _rows(findings: Findings, identity: ResultIdentity) -> Iterator[SummaryRow]:
    by_breast = {kind: breast_scores(findings.images, kind) for kind in SHOWN_KINDS}
    for laterality, name in _BREASTS.items():
        images = [image for image in findings.images if image.image_laterality is laterality]
        scores = {kind: by_breast[kind].get(laterality) for kind in SHOWN_KINDS}
        yield _row(name, images, scores, findings.algorithm, identity)
    of_study = {kind: study_score(by_breast[kind]) for kind in SHOWN_KINDS}
    yield _row("Study", findings.images, of_study, findings.algorithm, identity)


def _row(
    name: str,
    images: Sequence[ImageFindings],
    scores: Mapping[FindingKind, float | None],
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
) -> SummaryRow:
    shown = []
    for kind, score in scores.items():
        text = "no score" if score is None else shown_score(score, kind, algorithm, identity.score_scale).text
        shown.append(SummaryScore(text, "" if score is None else _reached(images, kind, algorithm)))
    outcome = codes.processing_and_findings_summary(images).meaning if images else "No image"
    return SummaryRow(name, outcome, tuple(shown))


def _reached(images: Sequence[ImageFindings], kind: FindingKind, algorithm: AlgorithmIdentification) -> str:
    """Return which images reach the operating point of a class, or nothing if it is not stated or 0."""
    point = operating_point(algorithm, kind)
    if not point:
        return ""
    scores = {view_name(image): image_score(image, kind) for image in images}
    over = [name for name, score in scores.items() if score is not None and reaches(score, point)]
    if not over:
        return "operating point not reached"
    return f"operating point reached in {', '.join(over) if len(over) < len(VIEW_ORDER) else 'all images'}"


def _score_notes(algorithm: AlgorithmIdentification, identity: ResultIdentity) -> Iterator[str]:
    points = {kind: operating_point(algorithm, kind) for kind in SHOWN_KINDS}
    shown = [
        f"{kind} {shown_score(point, kind, algorithm, identity.score_scale).text}"
        for kind, point in points.items()
        if point
    ]
    if shown:
        yield f"Operating points of the score of an image: {', '.join(shown)}."
    stated = calibration_statements(algorithm)
    yield from stated
    if not stated:
        yield "Scores are not calibrated for this site: they are no probabilities."


def _origin(findings: Findings, sources: Sequence[Dataset], identity: ResultIdentity) -> tuple[Labelled, ...]:
    algorithm = findings.algorithm
    node = [f"{identity.manufacturer_model_name} {identity.software_version}", identity.manufacturer]
    places = [identity.station_name, identity.institution_name]
    created = identity.created(zone_of(sources))
    return (
        ("Model", f"{algorithm.algorithm_name} {algorithm.algorithm_version}, weights {algorithm.weights_sha256[:16]}"),
        ("Node", ", ".join(dict.fromkeys(text for text in (*node, *places) if text))),
        ("Results of", created.strftime("%Y-%m-%d %H:%M:%S UTC%z")),
        ("Study Instance UID", findings.study_instance_uid),
    )
