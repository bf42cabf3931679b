"""Scores of breasts and of the study from those of the views."""

from collections.abc import Iterable, Mapping

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality


def image_score(image: ImageFindings, kind: FindingKind) -> float | None:
    """The score of one view, 0 to 1; None when it could not be analysed."""
    return image.benign_score if kind is FindingKind.BENIGN else image.malignant_score


def mean_scores(images: Iterable[ImageFindings]) -> dict[str, float]:
    """Per kind the mean over the images that could be analysed; empty when none could."""
    seen = tuple(images)
    scores = {
        kind: [score for image in seen if (score := image_score(image, kind)) is not None] for kind in FindingKind
    }
    return {str(kind): round(sum(values) / len(values), 4) for kind, values in scores.items() if values}


def study_scores(images: Iterable[ImageFindings]) -> dict[str, float]:
    """Per kind the score of the study; empty when no image could be analysed."""
    seen = tuple(images)
    scores = {kind: study_score(breast_scores(seen, kind)) for kind in FindingKind}
    return {str(kind): round(score, 4) for kind, score in scores.items() if score is not None}


def reference_scores(algorithm: AlgorithmIdentification) -> dict[str, float]:
    """Per kind the mean score of the images that the package was measured on, where it says so."""
    stated = dict(algorithm.parameters)
    named = {str(kind): stated.get(f"{kind}.reference_mean_score") for kind in FindingKind}
    return {kind: float(mean) for kind, mean in named.items() if mean is not None}


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
