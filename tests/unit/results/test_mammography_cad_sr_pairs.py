"""Pairs of findings of two views, and the centre of a finding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset

from glam_node.inference.findings import Finding, FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.node.results.mammography_cad_sr_pairs import (
    PlacedFinding,
    center,
    compared_images,
    paired_findings,
)
from glam_node.node.results.scores import shown_finding_score
from glam_node.node.results.tracking import TrackedFinding
from tests.unit.results.analysed import finding

COLUMNS = 200


def header(row: str = "A", spacing: float = 1.0) -> Dataset:
    dataset = Dataset()
    dataset.PatientOrientation = [row, "R"]
    dataset.ImagerPixelSpacing = [1.0, spacing]
    return dataset


def image(view: ViewPosition) -> ImageFindings:
    return ImageFindings(str(view), Laterality.LEFT, view, (300, COLUMNS), 0.5, 0.5)


SHOWN = shown_finding_score(0.75, FindingKind.MALIGNANT, "percent")
IMAGES = {view: image(view) for view in ViewPosition}


def pairs(cc: list[int], mlo: list[int], headers: dict[str, Dataset]) -> list[tuple[str, str]]:
    """Return the columns of the findings in each pair."""
    placed = [
        PlacedFinding(TrackedFinding(finding([[1]], origin=(5, column)), SHOWN, str(column), "2.25.1"), IMAGES[view])
        for view, columns in ((ViewPosition.CC, cc), (ViewPosition.MLO, mlo))
        for column in columns
    ]
    found = paired_findings(placed, IMAGES.values(), headers)
    return [(pair.craniocaudal.tracked.tracking_id, pair.oblique.tracked.tracking_id) for pair in found]


BOTH = {"CC": header(), "MLO": header()}


def test_the_closest_findings_are_paired_first_and_each_at_most_once() -> None:
    assert pairs([50, 60], [58, 30], BOTH) == [("60", "58"), ("50", "30")]


def test_the_difference_is_measured_in_millimeters() -> None:
    assert pairs([50], [75], BOTH) == [("50", "75")]
    assert pairs([50], [76], BOTH) == []
    fine = {"CC": header(spacing=0.1), "MLO": header(spacing=0.1)}
    assert pairs([50], [199], fine) == [("50", "199")]


def test_distances_count_from_the_chest_wall_of_each_image() -> None:
    assert pairs([10], [COLUMNS - 11], {"CC": header(), "MLO": header("P")}) == [("10", str(COLUMNS - 11))]


def test_images_whose_rows_run_up_or_down_are_not_compared() -> None:
    assert compared_images(IMAGES.values(), {"CC": header("F"), "MLO": header()}) == []
    assert compared_images(IMAGES.values(), BOTH) == list(IMAGES.values())


@given(arrays(np.bool_, (7, 5), elements=st.booleans()), st.tuples(st.integers(0, 50), st.integers(0, 40)))
def test_the_centre_is_the_centre_of_a_pixel_of_the_finding(mask: np.ndarray, origin: tuple[int, int]) -> None:
    if not mask.any():
        mask[6, 0] = True
    one = Finding(kind=FindingKind.BENIGN, score=0.5, origin=origin, mask=mask)
    column, row = center(one) - 0.5
    assert one.full_mask((60, 50))[int(row), int(column)]
    assert (row % 1, column % 1) == (0, 0)
