"""Prior exams in results: their scores as shown, the change since then, and sentences about them, as context only."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind, Findings, ImageFindings
from glam_node.node.domain.prior_comparison import Correspondence, PriorExam
from glam_node.node.domain.words import counted, date
from glam_node.node.results import codes
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.scores import (
    ShownScore,
    breast_scores,
    shown_finding_score,
    shown_score,
    study_score,
)

CONTEXT = "Earlier scores are context, not a diagnosis."
TOLERANCE_STATEMENT = "Places in two exams are compared approximately; they do not show that two findings are the same."
SHOWN_KINDS = (FindingKind.MALIGNANT, FindingKind.BENIGN)

Priors = Sequence[PriorExam]


@dataclass(frozen=True, slots=True)
class ShownPrior:
    """The score of a class in a prior exam, and its change since then."""

    kind: FindingKind
    then: ShownScore
    now: ShownScore | None
    """The same score of the exam; None if both cannot be compared."""

    @property
    def change(self) -> float | None:
        """The score now less that of the prior exam, in the unit of the scores; None if they cannot be compared."""
        return None if self.now is None else self.now.value - self.then.value

    @property
    def text(self) -> str:
        """The score and the change in words."""
        return f"{self.kind} {self.then.text}{self.change_text}"

    @property
    def change_text(self) -> str:
        """The difference of both scores as they are printed, in words; empty if they cannot be compared."""
        if self.now is None:
            return ""
        change = round(self.now.printed - self.then.printed, 2)
        unit = f" percentage {'point' if abs(change) == 1 else 'points'}" if self.then.unit == codes.PERCENT else ""
        return f" ({change:+g}{unit} since then)" if change else " (no change since then)"


def shown_priors(
    exam: PriorExam,
    then: Mapping[str, float],
    now: Mapping[FindingKind, float | None],
    of: Findings,
    identity: ResultIdentity,
) -> Iterator[ShownPrior]:
    """Yield the scores of a prior exam in the order of SHOWN_KINDS.

    Args:
        exam: The prior exam.
        then: Its scores by class, of the study or of a breast.
        now: The same scores of the exam.
        of: The findings of the exam.
        identity: The device that writes the results, with the scale of scores.
    """
    for kind in SHOWN_KINDS:
        if kind not in then:
            continue
        score = now.get(kind)
        if not exam.same_model:
            yield ShownPrior(kind, shown_finding_score(then[kind], kind, identity.score_scale), None)
            continue
        earlier = shown_score(then[kind], kind, of.algorithm, identity.score_scale)
        later = None if score is None else shown_score(score, kind, of.algorithm, identity.score_scale)
        yield ShownPrior(kind, earlier, later)


def scores_of_study(findings: Findings) -> dict[FindingKind, float | None]:
    """Return the score of the study by class."""
    return {kind: study_score(breast_scores(findings.images, kind)) for kind in FindingKind}


def prior_sentences(priors: Priors, findings: Findings, identity: ResultIdentity) -> Iterator[str]:
    """Yield sentences, what matters most first; none without prior exams.

    The first is CONTEXT, the next are about the prior exams, the newest first, and the last about findings at
    corresponding places, malignant ones first.
    """
    if priors:
        yield CONTEXT
    for exam in priors:
        shown = shown_priors(exam, exam.study_scores, scores_of_study(findings), findings, identity)
        scores = ", ".join(one.text for one in shown) or "no scores"
        model = "" if exam.same_model else f", by another model ({exam.algorithm}), so that no change is given"
        yield f"Prior exam of {date(exam.study_date)}: {scores}{model}."
    for wanted in SHOWN_KINDS:
        for exam in priors:
            yield from _places(exam, findings, wanted)


def _places(exam: PriorExam, findings: Findings, wanted: FindingKind) -> Iterator[str]:
    by_image = {image.sop_instance_uid: image for image in findings.images}
    for one in exam.correspondences:
        image = by_image.get(one.sop_instance_uid)
        if image is not None and image.findings[one.finding].kind is wanted:
            yield f"{finding_name(image, one.finding)}: {place_sentence(exam, one)}"


def place_sentences(priors: Priors) -> dict[tuple[str, int], list[str]]:
    """Return sentences about corresponding places, by SOP Instance UID and the place of the finding in its image."""
    found: dict[tuple[str, int], list[str]] = {}
    for exam in priors:
        for one in exam.correspondences:
            sentence = place_sentence(exam, one)
            found.setdefault((one.sop_instance_uid, one.finding), []).append(sentence[0].upper() + sentence[1:])
    return found


def place_sentence(exam: PriorExam, one: Correspondence) -> str:
    """Return a sentence about a finding of a prior exam at a corresponding place."""
    return (
        f"a {one.kind} finding of the exam of {date(exam.study_date)} ({100 * one.prior_score:.0f} %) lies at a "
        f"corresponding place, {one.distance_mm:.0f} mm away."
    )


def finding_name(image: ImageFindings, number: int) -> str:
    """Return the name of a finding as all results show it, such as L CC malignant 1."""
    kind = image.findings[number].kind
    place = sum(one.kind is kind for one in image.findings[: number + 1])
    return f"{image.image_laterality} {image.view_position} {kind} {place}"


def comparison_text(exam: PriorExam) -> str:
    """Return what was compared with a prior exam."""
    if not exam.same_model:
        return f"The exam was analysed by another model ({exam.algorithm}): its scores cannot be compared."
    views = ", ".join(exam.compared_views)
    found = counted(len(exam.correspondences), "pair")
    return f"{found} of findings at corresponding places; compared views: {views or 'none'}."


def prior_images(priors: Priors) -> list[Dataset]:
    """Return references to the images of prior exams, as evidence of a report."""
    found = []
    for exam in priors:
        for image in exam.images:
            one = Dataset()
            one.StudyInstanceUID, one.SeriesInstanceUID = exam.study_instance_uid, image.series_instance_uid
            one.SOPClassUID, one.SOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
            found.append(one)
    return found


def comparison_digest(priors: Priors) -> list[str]:
    """Return what the UIDs of a result with these prior exams also depend on; nothing without prior exams."""
    if not priors:
        return []
    canonical = json.dumps([one.as_json() for one in priors], sort_keys=True)
    return [f"prior exams {hashlib.sha256(canonical.encode()).hexdigest()}"]
