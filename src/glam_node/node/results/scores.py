"""Scores of views, breasts and the study, and their form in results: raw, in percent, or from 1 to 10."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pydicom.sr.coding import Code

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality
from glam_node.inference.platt import PlattScale
from glam_node.node.results import codes
from glam_node.node.results.identity import ScoreScale

BREAST_SCORE_MEANING = "The score of a breast is the mean of the scores of its views that could be analysed."
STUDY_SCORE_MEANING = "The score of the study is the larger of its breasts' scores."


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


def operating_point(algorithm: AlgorithmIdentification, kind: FindingKind) -> float | None:
    """Return the score at which an image is outlined for a class, or None if the algorithm does not state it.

    It is 0 if every image is outlined.
    """
    stated = dict(algorithm.parameters).get(f"{kind}.image_score_threshold")
    return None if stated is None else float(stated)


def reaches(score: float, point: float) -> bool:
    """Return whether a score reaches an operating point other than 0, which every score reaches.

    The point is stated with fewer digits than a score has, so both are compared in printed form.
    """
    return 0 < point <= float(f"{score:g}")


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


@dataclass(frozen=True, slots=True)
class ShownScore:
    """A score as a measurement and as text."""

    name: Code
    value: float
    unit: Code
    text: str

    @property
    def printed(self) -> float:
        """The number as the text shows it, with fewer digits than the value."""
        return float(self.text.split()[0])


def shown_finding_score(score: float, kind: FindingKind, scale: ScoreScale) -> ShownScore:
    """Return the score of a finding, raw on the scale "raw", else in percent; no calibration applies to saliency."""
    if scale == "raw":
        return ShownScore(codes.CERTAINTY[kind], round(score, 5), codes.NO_UNITS, f"{score:.2f}")
    return ShownScore(codes.CERTAINTY[kind], round(100 * score, 3), codes.PERCENT, f"{100 * score:.0f} %")


def shown_score(score: float, kind: FindingKind, algorithm: AlgorithmIdentification, scale: ScoreScale) -> ShownScore:
    """Return the score of an image, a breast or the study.

    The scale "ten" needs a calibration; without one the score is shown in percent. On the scale "percent" the score is
    a probability only if the site itself calibrated the class, since the calibration of a package comes from another
    population.
    """
    calibration = calibration_of(algorithm, kind)
    if calibration is None or scale == "raw" or (scale == "percent" and not is_calibrated_by_site(algorithm, kind)):
        return shown_finding_score(score, kind, scale)
    if scale == "percent":
        percent = 100 * probability_of(score, *calibration)
        return ShownScore(codes.SITE_PROBABILITY[kind], round(percent, 3), codes.PERCENT, f"{percent:.0f} %")
    ten = ten_point(score, *calibration)
    return ShownScore(codes.TEN_POINT_SCORE[kind], ten, codes.NO_UNITS, f"{ten} of 10")


def calibration_of(algorithm: AlgorithmIdentification, kind: FindingKind) -> tuple[float, float] | None:
    """Return slope and intercept of the Platt calibration of a class, from the site or the package, or None."""
    stated = dict(algorithm.parameters)
    try:
        return float(stated[f"{kind}.calibration_slope"]), float(stated[f"{kind}.calibration_intercept"])
    except KeyError:
        return None


def ten_point(score: float, slope: float, intercept: float) -> int:
    """Return the calibrated probability as a number from 1 (below 0.1) to 10 (0.9 and more)."""
    return min(10, 1 + int(10 * probability_of(score, slope, intercept)))


def probability_of(score: float, slope: float, intercept: float) -> float:
    """Return the probability by Platt calibration, 0 to 1."""
    return float(PlattScale(slope, intercept).apply(np.array(score, dtype=np.float64)))


def calibration_statements(algorithm: AlgorithmIdentification) -> list[str]:
    """Return one sentence for each class that the site calibrated."""
    by_site = [kind for kind in FindingKind if is_calibrated_by_site(algorithm, kind)]
    return [f"Scores of the {kind} class are calibrated by the site, in its settings." for kind in by_site]


def is_calibrated_by_site(algorithm: AlgorithmIdentification, kind: FindingKind) -> bool:
    """Return whether the calibration of the class comes from the site's settings."""
    return (f"{kind}.calibrated_by", "site") in algorithm.parameters
