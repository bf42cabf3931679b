"""Scores of breasts and of the study from those of the views."""

from collections.abc import Iterable, Mapping

from glam_node.inference.findings import FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality


def image_score(image: ImageFindings, kind: FindingKind) -> float | None:
    """The score of one view, 0 to 1; None when it could not be analysed."""
    return image.benign_score if kind is FindingKind.BENIGN else image.malignant_score


def breast_scores(images: Iterable[ImageFindings], kind: FindingKind) -> dict[Laterality, float]:
    """Per breast the mean of the scores of its views; a breast of which no view could be analysed is left out."""
    scores: dict[Laterality, list[float]] = {}
    for image in images:
        score = image_score(image, kind)
        if score is not None:
            scores.setdefault(image.image_laterality, []).append(score)
    return {laterality: sum(values) / len(values) for laterality, values in sorted(scores.items())}


def study_score(breasts: Mapping[Laterality, float]) -> float | None:
    """The larger score of the two breasts; None when neither has one."""
    return max(breasts.values(), default=None)
