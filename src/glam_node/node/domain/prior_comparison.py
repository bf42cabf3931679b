"""Findings of an exam beside those of a prior exam, in the form in which results, pages and rules use them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PriorImage:
    """One image of a prior exam, with its scores."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    view: str
    """The name of the view, such as R CC."""
    scores: Mapping[str, float]
    """Score by class, 0 to 1; empty if the image was not analysed."""
    findings: Mapping[str, int]
    """Number of findings by class."""


@dataclass(frozen=True, slots=True)
class Correspondence:
    """A finding of the exam, and a finding of the prior exam that lies at a corresponding place of the same view."""

    sop_instance_uid: str
    """The image of the exam."""
    finding: int
    """The place of the finding among all findings of that image, from 0."""
    prior_sop_instance_uid: str
    prior_finding: int
    kind: str
    """The class of the prior finding."""
    prior_score: float
    distance_mm: float


@dataclass(frozen=True, slots=True)
class PriorExam:
    """The analysis of one prior exam, compared with that of the exam."""

    study_instance_uid: str
    study_date: str
    """YYYYMMDD."""
    algorithm: str
    """Name and version."""
    same_model: bool
    """True if both exams were analysed by the same model package; else the scores cannot be compared."""
    study_scores: Mapping[str, float]
    """Score of the study by class."""
    breast_scores: Mapping[str, Mapping[str, float]]
    """Score by class of each breast, R and L."""
    changes: Mapping[str, float]
    """By class, the score of the exam less that of the prior exam; empty unless both are of the same model."""
    breast_changes: Mapping[str, Mapping[str, float]]
    images: tuple[PriorImage, ...]
    compared_views: tuple[str, ...] = ()
    """The views in which places of findings could be compared."""
    correspondences: tuple[Correspondence, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the exam as plain lists, numbers and strings for a JSON column."""
        return asdict(self)


def prior_exam_from_json(stored: Mapping[str, Any]) -> PriorExam:
    """Return the exam that `PriorExam.as_json` has turned into JSON."""
    values = dict(stored)
    values["images"] = tuple(PriorImage(**one) for one in values["images"])
    values["compared_views"] = tuple(values["compared_views"])
    values["correspondences"] = tuple(Correspondence(**one) for one in values["correspondences"])
    return PriorExam(**values)
