"""Division of views into those that thresholds are chosen on and those that are measured; no patient is in both."""

from collections.abc import Sequence
from dataclasses import dataclass

from glam_node.research.datasets.labelled import LabelledDataset, LabelledView
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.datasets.split import TEST, VALIDATION, split_views


@dataclass(frozen=True, slots=True)
class Parts:
    """Validation and test views, each with the data set that reads them."""

    validation: LabelledDataset
    validation_views: tuple[LabelledView, ...]
    test: LabelledDataset
    test_views: tuple[LabelledView, ...]
    rule: str
    """The rule that divided them, in words for the report."""


def divide(dataset: LabelledDataset, validation: LabelledDataset | None = None) -> Parts:
    """Divide `dataset` into its parts, or use `validation` for thresholds and all of `dataset` for measurement.

    Raises:
        DatasetError: A part has no view, or both share images.
    """
    if validation is not None:
        chosen_on, measured = _assigned(validation.views, VALIDATION), _assigned(dataset.views, TEST)
        rule = f"Thresholds were chosen on {validation.name}."
        _refuse_overlap(validation, chosen_on, dataset, measured)
    elif any(view.split == VALIDATION for view in dataset.views):
        validation = dataset
        chosen_on, measured = _assigned(dataset.views, VALIDATION), _assigned(dataset.views, TEST)
        rule = "Thresholds were chosen on the part that the data set calls validation."
    else:
        validation = dataset
        halves = split_views(_assigned(dataset.views, TEST), {VALIDATION: 0.5, TEST: 0.5})
        chosen_on, measured = list(halves[VALIDATION]), list(halves[TEST])
        rule = (
            "Thresholds were chosen on one half of the studies, picked by a hash of the study; measured on the other."
        )
    if not chosen_on or not measured:
        raise DatasetError(
            f"{dataset.name} has {len(chosen_on)} views to choose thresholds on and {len(measured)} to measure: "
            "both are needed. Name a larger data set, or another one with --validation."
        )
    return Parts(validation, tuple(chosen_on), dataset, tuple(measured), rule)


def cluster_of(view: LabelledView) -> str:
    """Return the unit that a bootstrap draws as a whole: the patient if the data set identifies one, else the study."""
    return view.patient_key or view.study_id


def _assigned(views: Sequence[LabelledView], split: str) -> list[LabelledView]:
    """Return the views of the part, or all views if the data set has no such part."""
    return [view for view in views if view.split == split] or list(views)


def _refuse_overlap(
    validation: LabelledDataset, chosen_on: list[LabelledView], dataset: LabelledDataset, measured: list[LabelledView]
) -> None:
    common = {view.image_id for view in chosen_on} & {view.image_id for view in measured}
    if common:
        raise DatasetError(
            f"{validation.name} and {dataset.name} have images in common ({len(common)}): thresholds that were chosen "
            "on what is measured say nothing. Name other images with --validation."
        )
