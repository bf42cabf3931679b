"""Scores of breasts and of the study, computed from the scores of the views."""

from collections.abc import Iterable, Mapping

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality


def image_score(image: ImageFindings, kind: FindingKind) -> float | None:
    """Return the score of one view for a class, 0 to 1, or None if the view could not be analysed."""
    return image.benign_score if kind is FindingKind.BENIGN else image.malignant_score


def mean_scores(images: Iterable[ImageFindings]) -> dict[str, float]:
    """Return for each class the mean score of the images that could be analysed; empty if none could."""
    seen = tuple(images)
    scores = {
        kind: [score for image in seen if (score := image_score(image, kind)) is not None] for kind in FindingKind
    }
    return {str(kind): round(sum(values) / len(values), 4) for kind, values in scores.items() if values}


def study_scores(images: Iterable[ImageFindings]) -> dict[str, float]:
    """Return the score of the study for each class; empty if no image could be analysed."""
    seen = tuple(images)
    scores = {kind: study_score(breast_scores(seen, kind)) for kind in FindingKind}
    return {str(kind): round(score, 4) for kind, score in scores.items() if score is not None}


def reference_scores(algorithm: AlgorithmIdentification) -> dict[str, float]:
    """Return for each class the mean score of the images that the package was evaluated on.

    Classes for which the package does not state this score are left out.
    """
    stated = dict(algorithm.parameters)
    named = {str(kind): stated.get(f"{kind}.reference_mean_score") for kind in FindingKind}
    return {kind: float(mean) for kind, mean in named.items() if mean is not None}


def breast_scores(images: Iterable[ImageFindings], kind: FindingKind) -> dict[Laterality, float]:
    """Return for each breast the mean score of its views. A breast without an analysed view is left out."""
    scores: dict[Laterality, list[float]] = {}
    for image in images:
        score = image_score(image, kind)
        if score is not None:
            scores.setdefault(image.image_laterality, []).append(score)
    return {laterality: sum(values) / len(values) for laterality, values in sorted(scores.items())}


def study_score(breasts: Mapping[Laterality, float]) -> float | None:
    """Return the larger score of the two breasts, or None if neither has a score."""
    return max(breasts.values(), default=None)
