"""Tests of findings from saliency, on a source image that fills the upper left corner of the window."""

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.findings import Finding, FindingKind
from glam_node.inference.glam.orientation import Orientation
from glam_node.inference.glam.postprocessing import ViewSaliency, extract_findings
from glam_node.inference.glam.preprocessing import PreparedView
from glam_node.inference.glam.window import WINDOW_SHAPE, WindowGeometry
from glam_node.inference.package import OperatingPoint
from tests.reference.postprocessing import findings_of

SHAPE = (1600, 1200)
POINTS = {
    FindingKind.BENIGN: OperatingPoint(0.5, 0.7, 0.6, 100),
    FindingKind.MALIGNANT: OperatingPoint(0.5, 0.7, 0.6, 100),
}
PATCH = (20, 10)


def view(breast: NDArray[np.bool_] | None = None) -> PreparedView:
    geometry = WindowGeometry(SHAPE, Orientation(points_right=True), (0, SHAPE[0]), (0, SHAPE[1]), pad_top=0)
    everywhere = np.ones(SHAPE, dtype=np.bool_)
    return PreparedView(np.zeros(WINDOW_SHAPE, np.float32), geometry, everywhere if breast is None else breast, ())


def saliency(patches: int = 1, scores: tuple[float, float] = (0.1, 0.9)) -> ViewSaliency:
    """Return saliency that is 0 everywhere, with all patches at the same place."""
    return ViewSaliency(
        scores,
        np.zeros((2, 184, 120), np.float32),
        np.array([PATCH] * patches, dtype=np.int64),
        np.zeros((patches, 2, 128, 128), np.float32),
    )


def local(of: ViewSaliency) -> NDArray[np.float32]:
    assert of.local_saliency is not None
    return of.local_saliency


def findings(of: ViewSaliency, maximum: int = 9, breast: NDArray[np.bool_] | None = None) -> tuple[Finding, ...]:
    return extract_findings(view(breast), of, POINTS, maximum)


def test_a_cell_of_the_global_map_is_16_pixels_outside_the_patch() -> None:
    seen = saliency()
    seen.global_saliency[1, 70:72, 50] = (0.61, 0.8)
    (finding,) = findings(seen)
    assert (finding.kind, finding.origin, finding.mask.shape) == (FindingKind.MALIGNANT, (1120, 800), (32, 16))
    assert finding.mask.all()
    assert finding.score == pytest.approx(0.8)


def test_a_cell_of_the_local_map_is_4_pixels_inside_the_patch() -> None:
    seen = saliency()
    local(seen)[0, 1, 30:35, 40:44] = 0.71
    (finding,) = findings(seen)
    assert (finding.origin, finding.mask.shape) == ((20 * 16 + 30 * 4, 10 * 16 + 40 * 4), (20, 16))


def test_the_global_map_does_not_count_inside_the_patch() -> None:
    seen = saliency()
    seen.global_saliency[1, 20:52, 10:42] = 1.0
    assert findings(seen) == ()


def test_each_source_has_its_own_threshold() -> None:
    seen = saliency()
    seen.global_saliency[1] = 0.6
    local(seen)[...] = 0.7
    assert findings(seen) == ()
    seen.global_saliency[1] = 0.65
    (outside,) = findings(seen)
    assert not outside.mask[21 * 16, 11 * 16]


def test_a_region_that_crosses_the_patchs_edge_is_one_finding() -> None:
    seen = saliency()
    seen.global_saliency[1, 25, 8:10] = 0.9
    local(seen)[0, 1, 20:24, :10] = 0.95
    (finding,) = findings(seen)
    assert finding.mask.shape == (16, 72)
    assert finding.score == pytest.approx(0.95)


def test_a_later_patch_covers_an_earlier_one() -> None:
    seen = saliency(patches=2)
    local(seen)[0, 1] = 1.0
    assert findings(seen) == ()


def test_an_image_below_its_score_threshold_has_no_findings() -> None:
    seen = saliency(scores=(0.49, 0.5))
    seen.global_saliency[:, 80:84, 60:64] = 1.0
    assert [finding.kind for finding in findings(seen)] == [FindingKind.MALIGNANT]


def test_regions_under_the_minimum_area_are_dropped() -> None:
    seen = saliency()
    local(seen)[0, 1, :2, :3] = 1.0
    assert findings(seen) == ()
    local(seen)[0, 1, :2, :4] = 1.0
    assert len(findings(seen)) == 1


def test_the_highest_scores_come_first_and_the_rest_is_cut() -> None:
    seen = saliency()
    for row, value in ((70, 0.7), (75, 0.9), (80, 0.8)):
        seen.global_saliency[1, row, 50] = value
    assert [finding.score for finding in findings(seen, maximum=2)] == pytest.approx([0.9, 0.8])


def test_findings_end_where_the_breast_ends() -> None:
    breast = np.zeros(SHAPE, dtype=np.bool_)
    breast[:, :810] = True
    seen = saliency()
    seen.global_saliency[1, 70, 48:55] = 1.0
    (finding,) = findings(seen, breast=breast)
    assert finding.mask.shape == (16, 42)


def test_saliency_outside_the_image_is_not_a_finding() -> None:
    seen = saliency()
    seen.global_saliency[1, 120:150, 90:110] = 1.0
    assert findings(seen) == ()


@pytest.mark.parametrize("seed", range(8))
def test_findings_equal_those_of_full_size_maps(seed: int) -> None:
    """Many regions with equal scores, on images in any pose that are smaller or larger than the window."""
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1500, 3400)), int(random.integers(1100, 2600)))
    rows, columns = (_span(random, size, limit) for size, limit in zip(shape, WINDOW_SHAPE, strict=True))
    pose = Orientation(points_right=bool(seed & 1), upside_down=bool(seed & 2))
    pad_top = int(random.integers(0, WINDOW_SHAPE[0] - (rows[1] - rows[0]) + 1))
    placed = PreparedView(
        np.zeros(WINDOW_SHAPE, np.float32),
        WindowGeometry(shape, pose, rows, columns, pad_top),
        random.random(shape) < 0.97,
        (),
    )
    steps = random.integers(0, 6, (2, 184, 120)) if seed & 4 else np.zeros((2, 184, 120))
    steps[:, 92, 30] = 5
    seen = ViewSaliency(
        (0.9, 0.9),
        (steps / 5).astype(np.float32),
        random.integers((0, 0), (152, 88), (2, 2)),
        (random.integers(0, 6, (2, 2, 128, 128)) / 5).astype(np.float32),
    )
    expected = findings_of(placed, seen, POINTS, 5)
    found = extract_findings(placed, seen, POINTS, 5)
    assert [(one.kind, one.score, one.origin) for one in found] == [
        (one.kind, one.score, one.origin) for one in expected
    ]
    assert all(np.array_equal(one.mask, other.mask) for one, other in zip(found, expected, strict=True))
    assert len(found) > 1


def _span(random: np.random.Generator, size: int, limit: int) -> tuple[int, int]:
    """Return a random part of the image, at most as long as the window."""
    length = int(random.integers(min(size, limit) // 2, min(size, limit) + 1))
    start = int(random.integers(0, size - length + 1))
    return start, start + length
