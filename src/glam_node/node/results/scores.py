"""Scores as they are shown: raw, in percent, or from 1 to 10 by the calibration of the package."""

from dataclasses import dataclass

import numpy as np
from pydicom.sr.coding import Code

from glam_node.inference.findings import AlgorithmIdentification, FindingKind
from glam_node.inference.platt import PlattScale
from glam_node.node.results import codes
from glam_node.node.results.identity import ScoreScale


@dataclass(frozen=True, slots=True)
class ShownScore:
    """A score as a measurement and as text."""

    name: Code
    value: float
    unit: Code
    text: str


def shown_finding_score(score: float, kind: FindingKind, scale: ScoreScale) -> ShownScore:
    """Return the score of a finding, raw or else in percent, since no calibration applies to its saliency."""
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
    """Return the tenth that contains the calibrated probability, 1 to 10."""
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
