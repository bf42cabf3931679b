"""How scores are shown: as the model gives them, in percent, or from 1 to 10 by the package's calibration."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydicom.sr.coding import Code

from glam_node.inference.findings import AlgorithmIdentification, FindingKind
from glam_node.inference.platt import PlattScale
from glam_node.node.results import codes

ScoreScale = Literal["percent", "raw", "ten"]


@dataclass(frozen=True, slots=True)
class ShownScore:
    """A score as a measurement and as text."""

    name: Code
    value: float
    unit: Code
    text: str


def shown_finding_score(score: float, kind: FindingKind, scale: ScoreScale) -> ShownScore:
    """Of a finding, whose saliency nobody calibrates: raw, or else in percent."""
    if scale == "raw":
        return ShownScore(codes.CERTAINTY[kind], round(score, 5), codes.NO_UNITS, f"{score:.2f}")
    return ShownScore(codes.CERTAINTY[kind], round(100 * score, 3), codes.PERCENT, f"{100 * score:.0f} %")


def shown_score(score: float, kind: FindingKind, algorithm: AlgorithmIdentification, scale: ScoreScale) -> ShownScore:
    """Of an image, breast or study; in percent where the package has no calibration for 1 to 10."""
    calibration = calibration_of(algorithm, kind) if scale == "ten" else None
    if calibration is None:
        return shown_finding_score(score, kind, scale)
    ten = ten_point(score, *calibration)
    return ShownScore(codes.TEN_POINT_SCORE[kind], ten, codes.NO_UNITS, f"{ten} of 10")


def calibration_of(algorithm: AlgorithmIdentification, kind: FindingKind) -> tuple[float, float] | None:
    """Slope and intercept of the package's Platt scale for the class, where it has one."""
    stated = dict(algorithm.parameters)
    try:
        return float(stated[f"{kind}.calibration_slope"]), float(stated[f"{kind}.calibration_intercept"])
    except KeyError:
        return None


def ten_point(score: float, slope: float, intercept: float) -> int:
    """1 to 10: the tenth in which the probability of Platt's scale lies."""
    probability = float(PlattScale(slope, intercept).apply(np.array(score, dtype=np.float64)))
    return min(10, 1 + int(10 * probability))
