"""Tests of regions, the lesions that they hit, and the resulting curve."""

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.research.evaluation.measure.froc import froc
from glam_node.research.evaluation.measure.regions import Regions, SaliencyThresholds, find_regions
from glam_node.research.models.saliency_model import Evidence, Opinion

HALF = SaliencyThresholds(0.5, 0.5)


def opinion(values: NDArray[np.float64], evidence: Evidence | None = None) -> Opinion:
    """Return an opinion whose two maps are the same."""
    return Opinion((0.5, 0.5), np.stack([values, values]).astype(np.float32), evidence)


def squares(*corners: tuple[int, int], value: float = 1.0, side: int = 4) -> NDArray[np.float64]:
    """Return a 20 x 20 map with squares on it."""
    values = np.zeros((20, 20))
    for row, column in corners:
        values[row : row + side, column : column + side] = value
    return values


def test_a_region_has_the_score_of_its_most_salient_pixel_and_the_area_of_all() -> None:
    values = squares((0, 0), value=0.6) + squares((10, 10), value=0.7, side=2)
    values[1, 1] = 0.9
    regions = find_regions(opinion(values), 0, HALF, None)
    assert regions.scores.tolist() == pytest.approx([0.9, 0.7])
    assert regions.areas.tolist() == [16, 4]


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    assert len(find_regions(opinion(squares((0, 0), (4, 4))), 0, HALF, None).areas) == 1


def test_a_region_hits_a_lesion_from_an_overlap_of_a_tenth() -> None:
    lesions = squares((0, 0), (10, 10)) > 0
    regions = find_regions(opinion(squares((2, 2), (10, 0), side=4)), 0, HALF, lesions)
    # 4 pixels in common of 28: one seventh.
    assert regions.hits.tolist() == [[True, False], [False, False]]
    assert regions.pixels_in_lesions.tolist() == [4, 0]


def test_a_region_as_large_as_the_image_hits_nothing() -> None:
    assert not find_regions(opinion(np.ones((20, 20))), 0, HALF, squares((0, 0)) > 0).hits.any()


def test_each_source_of_evidence_has_its_own_threshold() -> None:
    values = squares((0, 0), (10, 10), value=0.4).astype(np.float32)
    closely = np.zeros((20, 20), dtype=bool)
    closely[:10] = True
    looked = opinion(np.zeros((20, 20)), Evidence(np.stack([values, values]), closely))
    assert find_regions(looked, 1, SaliencyThresholds(0.3, 0.5), squares((0, 0)) > 0).hits.tolist() == [[True]]
    assert not len(find_regions(looked, 1, SaliencyThresholds(0.5, 0.5), None).areas)


def test_small_regions_are_dropped() -> None:
    regions = find_regions(opinion(squares((0, 0)) + squares((10, 10), side=2)), 0, HALF, None)
    assert regions.at_least(5).areas.tolist() == [16]


def of_scores(scores: list[float], hits: list[list[bool]]) -> Regions:
    """Return regions of which only scores and hits matter."""
    count = np.ones(len(scores), dtype=np.int64)
    return Regions(
        np.array(scores, dtype=np.float32),
        count,
        np.array(hits, dtype=bool).reshape(len(scores), len(hits[0]) if hits else 0),
        count,
    )


def test_the_curve_counts_lesions_hit_and_false_regions_on_normals_as_the_score_falls() -> None:
    normal = [of_scores([0.8, 0.3], []), of_scores([], [])]
    outlined = [of_scores([0.9, 0.5], [[True, False], [True, False]]), of_scores([0.4], [[True]])]
    rows = froc([("", each.scores) for each in normal], [("", each.best_scores) for each in outlined])
    assert rows is not None
    # Thresholds 0.9, 0.8, 0.4, 0.3; three lesions, of which one is never hit; two normal images.
    assert list(rows.curve.false_positives_per_normal) == [0, 0, 0.5, 0.5, 1.0, 1.0]
    assert rows.curve.sensitivity == pytest.approx((0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3))
    assert [rows.sensitivity_at(rate)(None)[0] for rate in (0.25, 0.5)] == pytest.approx([1 / 3, 2 / 3])


def test_a_resample_counts_an_image_as_often_as_it_is_drawn() -> None:
    normal, outlined = of_scores([0.8], []), of_scores([0.9], [[True, False]])
    rows = froc(
        [("a", normal.scores), ("b", np.zeros(0, dtype=np.float32))],
        [("a", outlined.best_scores), ("b", np.array([0.4], dtype=np.float32))],
    )
    assert rows is not None
    weights = np.array([[{"a": 3.0, "b": 1.0}[cluster] for cluster in rows.clusters]])
    # Three of four normals have a false region; of seven lesions three are found above its score, one under it.
    assert rows.sensitivity_at(0.5)(weights)[0] == pytest.approx(3 / 7)
    assert rows.sensitivity_at(0.75)(weights)[0] == pytest.approx(4 / 7)


def test_the_curve_needs_normals_and_lesions() -> None:
    one = np.array([0.5], dtype=np.float32)
    assert froc([], [("", one)]) is None
    assert froc([("", one)], []) is None


def test_the_curve_ends_at_20_false_positives_per_normal_image() -> None:
    many = np.linspace(0.5, 0.9, 100).astype(np.float32)
    rows = froc([("", many)], [("", np.array([0.95, 0.55], dtype=np.float32))])
    assert rows is not None
    assert (rows.curve.false_positives_per_normal[-1], rows.curve.sensitivity[-1]) == (20, 0.5)


def test_a_speck_next_to_an_outline_is_not_a_separate_lesion() -> None:
    outline = np.zeros((400, 300), dtype=bool)
    outline[100:140, 100:140] = outline[143:145, 120:122] = outline[300:310, 10:20] = True
    regions = find_regions(opinion(outline.astype(float)), 0, HALF, outline)
    assert regions.lesion_count == 2
    assert regions.best_scores.tolist() == [1, 1]
    assert regions.pixels_in_lesions.tolist() == [1600, 4, 100]


def test_separate_outlines_are_separate_lesions() -> None:
    outline = np.zeros((400, 300), dtype=bool)
    outline[100:140, 100:140] = outline[150:160, 120:130] = True
    assert find_regions(opinion(outline.astype(float)), 0, HALF, outline).lesion_count == 2
