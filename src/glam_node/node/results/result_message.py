"""The HL7 message of a result (ORU^R01): its values, from findings and source images, filled into a template."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality
from glam_node.node.domain.job import Priority
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError
from glam_node.node.hl7.message import CHARACTER_SETS
from glam_node.node.hl7.template import TemplateProblem, read_template, render
from glam_node.node.hl7.text import Encoded, components
from glam_node.node.results import codes
from glam_node.node.results.identity import ResultIdentity, ScoreScale, view_name
from glam_node.node.results.message_form import BUILT_IN_TEMPLATE, MessageForm
from glam_node.node.results.message_patient import patient_values, study_values
from glam_node.node.results.not_analysed_report import Notice
from glam_node.node.results.prior_exams import Priors, prior_sentences
from glam_node.node.results.scores import (
    breast_scores,
    calibration_statements,
    image_score,
    shown_score,
    study_score,
)
from glam_node.node.results.time_zone import zone_of

ABNORMAL = "A"
"""HL7 table 0078: abnormal. The node never states that something is normal."""
STAT, AS_SOON_AS_POSSIBLE, ROUTINE = "S", "A", "R"
"""HL7 table 0485."""
_PRIORITIES: Mapping[Priority | None, str] = {
    Priority.URGENT: STAT,
    Priority.SCREENING: ROUTINE,
    Priority.BACKFILL: ROUTINE,
}
_STUDY = "study"


@dataclass(frozen=True, slots=True)
class ReferencedObject:
    """A result object at an archive that a message refers to."""

    kind: str
    """Kind of the result, such as measurement_report."""
    shown: str
    """The name in lists of results, such as SR."""
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str

    @property
    def values(self) -> dict[str, object]:
        """The values of the object in a template."""
        uids = (self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)
        path = "studies/{}/series/{}/instances/{}".format(*uids)
        name = components(self.kind, self.shown, codes.PRIVATE_SCHEME)
        return {**{one: getattr(self, one) for one in self.__slots__}, "name": name, "path": path}


@dataclass(frozen=True, slots=True)
class MessageContent:
    """The content of a message: findings with their sources, or the reason why there are none."""

    findings: Findings
    sources: Sequence[Dataset]
    """Headers of the source images, at least one."""
    objects: Sequence[ReferencedObject] = ()
    notice: Notice | None = None
    """The reason why the study was not analysed; None if it was."""
    priority: Priority | None = None
    """Priority that a rule about results chose; None for that of the scores."""
    corrects: bool = False
    """Whether an earlier message of the study was sent to the destination."""
    priors: Priors = ()
    """The prior exams to which the findings were compared."""


def control_id_of(uid: str) -> str:
    """Return the control ID (MSH-10) of the message with this UID: 20 characters, the most that HL7 2.5.1 allows."""
    return base64.b32encode(hashlib.sha256(uid.encode()).digest()).decode()[:20]


def write_result_message(form: MessageForm, content: MessageContent, identity: ResultIdentity, uid: str) -> bytes:
    """Return the message, in the character set of the destination; each segment ends with CR.

    Args:
        form: The form of the messages for the destination.
        content: What the message states.
        identity: The device that writes the message, with the time of its creation.
        uid: UID of the message, from which its control ID is derived.

    Raises:
        TemplateProblem: The template of the site has a mistake.
        PermanentError: A value cannot be written in the character set.
    """
    values = message_values(form, content, identity, uid)
    key = f"destinations.{form.destination}"
    try:
        segments = render(read_template(form.template or BUILT_IN_TEMPLATE), values)
        header = segments[0].split("|")
        if not "".join(header[8:9]).startswith("ORU^R01") or header[9:10] != [control_id_of(uid)]:
            raise TemplateProblem("MSH-9 must be ORU^R01, and MSH-10 must be {{ message.control_id }}")
    except TemplateProblem as error:
        file = form.template or BUILT_IN_TEMPLATE
        raise TemplateProblem(f"{file}, {unstopped(error)}. Correct that file, or {key}.template.") from None
    try:
        return "".join(f"{segment}\r" for segment in segments).encode(CHARACTER_SETS[form.character_set][1])
    except UnicodeEncodeError:
        raise PermanentError(
            f'{key}.character_set = "{form.character_set}" lacks a character of the message. Set it to "utf-8".'
        ) from None


def message_values(form: MessageForm, content: MessageContent, identity: ResultIdentity, uid: str) -> Mapping[str, Any]:
    """Return the values of a message by the names that templates use; docs/hl7.md describes them."""
    first, images, algorithm = content.sources[0], content.findings.images, content.findings.algorithm
    status = "C" if content.corrects and form.result_status == "F" else form.result_status
    made = identity.created(zone_of(content.sources)).strftime("%Y%m%d%H%M%S%z")
    flags = {kind: any(_is_flagged(image, kind, algorithm) for image in images) for kind in FindingKind}
    return {
        "message": {
            **asdict(form),
            "control_id": control_id_of(uid),
            "time": made,
            "status": status,
            "character_set": CHARACTER_SETS[form.character_set][0],
            "accept_acknowledgement": "AL" if form.enhanced else "",
            "application_acknowledgement": "NE" if form.enhanced else "",
        },
        "patient": patient_values(first),
        "study": {
            **study_values(first),
            **_category(content),
            "flag": ABNORMAL if any(flags.values()) else "",
            "priority": _PRIORITIES.get(content.priority)
            or (AS_SOON_AS_POSSIBLE if flags[FindingKind.MALIGNANT] else ROUTINE),
        },
        "algorithm": {
            "name": algorithm.algorithm_name,
            "version": algorithm.algorithm_version,
            "weights": algorithm.weights_sha256,
        },
        "comments": [identity.statement(algorithm), *calibration_statements(algorithm)],
        "counts": list(_counts(images, algorithm)),
        "scores": list(_scores(images, algorithm, identity.score_scale)),
        "remarks": list(_remarks(content, identity)),
        "objects": [one.values for one in sorted(content.objects, key=lambda one: (one.kind, one.sop_instance_uid))],
        "not_analysed": content.notice.sentence if content.notice else "",
    }


def _category(content: MessageContent) -> dict[str, Encoded]:
    """Return the outcome of the analysis of the study as a code, and the name of that code."""
    if content.notice is not None:
        outcome = codes.FAILED if content.notice.attempted else codes.NOT_ATTEMPTED
        return {"category": _coded(outcome), "category_name": _coded(codes.SUMMARY_OF_DETECTIONS)}
    outcome = codes.processing_and_findings_summary(content.findings.images)
    return {"category": _coded(outcome), "category_name": _coded(codes.PROCESSING_AND_FINDINGS_SUMMARY)}


def _counts(images: Sequence[ImageFindings], algorithm: AlgorithmIdentification) -> Iterator[dict[str, object]]:
    """Yield the number of findings of each class, of the study and of each view that was analysed."""
    analysed = [image for image in images if image.failure is None]
    parts = [(_STUDY, analysed), *((view_name(image), [image]) for image in analysed)]
    for part, of_part in parts if analysed else []:
        for kind in FindingKind:
            count = sum(one.kind is kind for image in of_part for one in image.findings)
            yield {
                **_named(codes.FINDING_COUNT[kind], part, kind),
                "value": count,
                "flag": _flag(of_part, kind, algorithm),
            }


def _scores(
    images: Sequence[ImageFindings], algorithm: AlgorithmIdentification, scale: ScoreScale
) -> Iterator[dict[str, object]]:
    """Yield the scores of each class, of the study, the breasts and the views that were analysed."""
    for kind in FindingKind:
        breasts = breast_scores(images, kind)
        parts = [
            (_STUDY, study_score(breasts), images),
            *((str(side), score, _of_breast(images, side)) for side, score in breasts.items()),
            *((view_name(image), image_score(image, kind), [image]) for image in images),
        ]
        threshold = _threshold(kind, algorithm)
        limit = "" if threshold is None else f"<{shown_score(threshold, kind, algorithm, scale).value:g}"
        for part, score, of_part in parts:
            if score is None:
                continue
            shown = shown_score(score, kind, algorithm, scale)
            yield {
                **_named(shown.name, part, kind),
                "value": f"{shown.value:g}",
                "unit": _coded(shown.unit),
                "range": limit if " " in part else "",  # the operating point is one of views
                "flag": _flag(of_part, kind, algorithm),
            }


def _of_breast(images: Sequence[ImageFindings], side: Laterality) -> list[ImageFindings]:
    return [image for image in images if image.image_laterality is side]


def _named(name: Code, part: str, kind: FindingKind) -> dict[str, object]:
    return {"name": _coded(name), "part": part, "kind": str(kind)}


def _flag(images: Sequence[ImageFindings], kind: FindingKind, algorithm: AlgorithmIdentification) -> str:
    return ABNORMAL if any(_is_flagged(image, kind, algorithm) for image in images) else ""


def _is_flagged(image: ImageFindings, kind: FindingKind, algorithm: AlgorithmIdentification) -> bool:
    """Return whether an image reaches the operating point of a class: by its score, else by a finding."""
    score, threshold = image_score(image, kind), _threshold(kind, algorithm)
    if score is None or threshold is None:
        return any(one.kind is kind for one in image.findings)
    return score >= threshold


def _threshold(kind: FindingKind, algorithm: AlgorithmIdentification) -> float | None:
    """Return the score of an image at the operating point of a class, or None if the package states none."""
    stated = dict(algorithm.parameters).get(f"{kind}.image_score_threshold")
    return None if stated is None else float(stated)


def _remarks(content: MessageContent, identity: ResultIdentity) -> Iterator[dict[str, object]]:
    if content.notice is not None:
        yield {"part": _STUDY, "text": content.notice.sentence}
    for sentence in prior_sentences(content.priors, content.findings, identity):
        yield {"part": _STUDY, "text": sentence}
    for image in content.findings.images:
        failure = [] if image.failure is None else [f"This image could not be analysed: {image.failure}"]
        for text in (*failure, *image.remarks):
            yield {"part": view_name(image), "text": text}


def _coded(code: Code) -> Encoded:
    return components(code.value, code.meaning, code.scheme_designator)
