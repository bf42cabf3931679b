"""Outlines of findings."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from glam_node.inference.findings import Finding, FindingKind
from glam_node.node.results.outline import long_axis_mm, outline
from tests.unit.results.analysed import finding


def enclosed(one: Finding, rows: int, columns: int) -> list[tuple[int, int]]:
    """Return the pixels whose centres lie inside the outline."""
    polygon = outline(one).astype(np.float32).reshape(-1, 1, 2)
    return [
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if cv2.pointPolygonTest(polygon, (column + 0.5, row + 0.5), measureDist=False) >= 0
    ]


def test_the_outline_is_closed() -> None:
    points = outline(finding([[1, 1], [1, 1]]))
    assert (points[0] == points[-1]).all()


@pytest.mark.parametrize(
    ("mask", "spacing", "expected"),
    [
        (np.ones((30, 40)), (1.0, 1.0), 50.0),
        (np.ones((30, 40)), (2.0, 2.0), 100.0),
        (np.ones((30, 5)), (0.1, 1.0), np.hypot(3, 5)),
        (np.ones((1, 200)), (0.1, 0.1), 20.0),
        (np.eye(60), (0.1, 0.1), 6 * np.sqrt(2)),
    ],
)
def test_the_long_axis_reaches_from_corner_to_corner(
    mask: NDArray[np.float64], spacing: tuple[float, float], expected: float
) -> None:
    found = long_axis_mm(outline(finding(mask.astype(int).tolist())), spacing)
    assert found == pytest.approx(expected, abs=1.5 * max(spacing)), "within a pixel at both ends"


def test_a_single_pixel_is_outlined_around_its_centre() -> None:
    assert enclosed(finding([[1]], origin=(4, 2)), 8, 8) == [(4, 2)]


@pytest.mark.parametrize("mask", [[[1, 1, 1]], [[1], [1], [1]], [[1, 0], [1, 1]], [[0, 1, 0], [1, 1, 1], [0, 1, 0]]])
def test_small_shapes_are_outlined_exactly(mask: list[list[int]]) -> None:
    expected = [(row + 2, column + 1) for row, column in np.argwhere(mask)]
    assert enclosed(finding(mask, origin=(2, 1)), 8, 8) == expected


@settings(deadline=None)
@given(arrays(np.bool_, (12, 12), elements=st.booleans()))
def test_every_outlined_pixel_is_near_the_finding(mask: np.ndarray) -> None:
    if not mask.any():
        mask[5, 5] = True
    one = Finding(kind=FindingKind.BENIGN, score=0.5, origin=(3, 1), mask=mask)
    low, high = outline(one).min(axis=0), outline(one).max(axis=0)
    assert (low >= (1, 3)).all()
    assert (high <= (13, 15)).all()


def test_a_large_round_finding_has_an_outline_of_its_area() -> None:
    y, x = np.mgrid[:101, :101]
    mask = (y - 50) ** 2 + (x - 50) ** 2 <= 48**2
    area = cv2.contourArea(outline(Finding(FindingKind.BENIGN, 0.5, (0, 0), mask)).astype(np.float32))
    assert area == pytest.approx(np.count_nonzero(mask), rel=0.03)


def test_the_outline_of_a_large_ragged_finding_has_few_points_and_still_lies_on_its_edge() -> None:
    y, x = np.mgrid[:300, :300]
    angle, distance = np.arctan2(y - 150, x - 150), np.hypot(y - 150, x - 150)
    mask = distance <= 110 + 30 * np.sin(9 * angle)
    points = outline(Finding(FindingKind.MALIGNANT, 0.5, (0, 0), mask))
    drawn = np.zeros(mask.shape, dtype=np.uint8)
    cv2.fillPoly(drawn, [np.round((points - 0.5) * 16).astype(np.int32)], (1,), shift=4)
    edge = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) - cv2.erode(mask.astype(np.uint8), np.ones((5, 5)))
    assert len(points) < 400
    assert not ((drawn != mask) & (edge == 0)).any()


def test_results_share_the_outline_of_a_finding_and_cannot_change_it() -> None:
    one, same = finding([[1, 1], [1, 1]]), finding([[1, 1], [1, 1]])
    assert outline(one) is outline(one)
    assert outline(one) is not outline(same)
    assert not outline(one).flags.writeable
