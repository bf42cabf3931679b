"""Corresponding places in two images of one view: pairs of findings, and the error on deformed phantoms."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.correspondence import TOLERANCE_MM, BreastFrame, breast_frame, matches
from glam_node.inference.findings import Finding, FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.phantom import make_view
from glam_node.inference.reading import read_mammogram

ROWS, COLUMNS = 416, 320
FRAME = BreastFrame((0.5, 0.5), 200, points_right=True, nipple_row_mm=50.0, depth_mm=80.0)


def finding(mask: NDArray[np.bool_], kind: FindingKind = FindingKind.MALIGNANT) -> Finding:
    """Return the finding of a mask on Rows x Columns."""
    rows, columns = np.nonzero(mask)
    top, left = int(rows.min()), int(columns.min())
    return Finding(kind, 1.0, (top, left), mask[top : rows.max() + 1, left : columns.max() + 1])


def at(row_mm: float, column_mm: float, kind: FindingKind = FindingKind.MALIGNANT) -> Finding:
    """Return a small finding in an image with 0.5 mm between pixels."""
    return Finding(kind, 1.0, (round(2 * row_mm) - 1, round(2 * column_mm) - 1), np.ones((2, 2), dtype=np.bool_))


def phantom(seed: int, side: Laterality, view: ViewPosition) -> tuple[Mammogram, NDArray[np.bool_]]:
    """Return a view with one lesion, and the lesion's mask."""
    lesions = [(FindingKind.MALIGNANT, side)]
    made = make_view(seed, side, view, rows=ROWS, columns=COLUMNS, lesions=lesions, varied=True)
    return read_mammogram(made.dataset), made.malignant_mask


def deformed(
    image: Mammogram, mask: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[Mammogram, NDArray[np.bool_]]:
    """Return the view as a later exam might show it: shifted, turned, stretched and irregularly deformed."""
    rows, columns = image.shape
    assert image.imager_pixel_spacing is not None
    per_mm = 1 / image.imager_pixel_spacing[0]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    is_left = image.image_laterality is Laterality.LEFT
    x, y = x if is_left else columns - 1 - x, y - rows / 2
    stretch, turn = 1 + generator.uniform(-0.08, 0.08, 2), math.radians(generator.uniform(-4, 4))
    shift = generator.uniform((-6, -15), (6, 15)) * per_mm
    from_x = (x * math.cos(turn) + y * math.sin(turn)) * stretch[0] + shift[0]
    from_y = (y * math.cos(turn) - x * math.sin(turn)) * stretch[1] + shift[1] + rows / 2
    irregular = generator.standard_normal((2, rows, columns)).astype(np.float32)
    smooth = [cv2.GaussianBlur(one, (0, 0), 25 * per_mm) for one in irregular]
    from_x, from_y = (place + 3 * per_mm * one / one.std() for place, one in zip((from_x, from_y), smooth, strict=True))
    from_x = np.maximum(from_x, 0)
    column_of = (from_x if is_left else columns - 1 - from_x).astype(np.float32)
    row_of = from_y.astype(np.float32)
    pixels = cv2.remap(image.pixels, column_of, row_of, cv2.INTER_LINEAR).astype(np.uint16)
    moved = cv2.remap(mask.astype(np.uint8), column_of, row_of, cv2.INTER_NEAREST) > 0
    return replace(image, pixels=pixels), moved


@pytest.mark.parametrize("view", list(ViewPosition))
def test_the_error_on_deformed_phantoms_is_the_one_that_the_documents_state(view: ViewPosition) -> None:
    generator = np.random.default_rng(20261201)
    errors = []
    for number in range(40):
        side = list(Laterality)[number % 2]
        image, mask = phantom(1000 + number, side, view)
        later, moved = deformed(image, mask, generator)
        then, now = breast_frame(image), breast_frame(later)
        if now is None or then is None or not moved.any():
            continue
        errors.append(math.dist(now.place_of(finding(moved)), then.place_of(finding(mask))) * now.depth_mm)
    assert len(errors) >= 38
    assert np.median(errors) < 5
    assert np.percentile(errors, 95) < 10 < TOLERANCE_MM


@pytest.mark.parametrize(("side", "view"), [(Laterality.LEFT, ViewPosition.CC), (Laterality.RIGHT, ViewPosition.MLO)])
def test_a_shift_and_a_marker_beside_the_breast_change_nothing(side: Laterality, view: ViewPosition) -> None:
    image, mask = phantom(7, side, view)
    pixels, moved = np.roll(image.pixels, 12, axis=0), np.roll(mask, 12, axis=0)
    pixels[:12], moved[:12] = 0, False
    corner = np.s_[4:20, -20:-4] if side is Laterality.LEFT else np.s_[4:20, 4:20]
    pixels[corner] = 4000
    then, now = breast_frame(image), breast_frame(replace(image, pixels=pixels))
    assert then is not None
    assert now is not None
    (pair,) = matches(now, [finding(moved)], then, [finding(mask)])
    assert pair.distance_mm < 2


def test_each_finding_is_in_one_pair_at_most_and_the_nearest_is_taken_first() -> None:
    pairs = matches(FRAME, [at(50, 30), at(50, 36)], FRAME, [at(50, 35), at(80, 10)])
    assert [(one.later, one.earlier) for one in pairs] == [(1, 0)]
    pairs = matches(FRAME, [at(50, 30), at(50, 36)], FRAME, [at(50, 35), at(50, 25)])
    assert [(one.later, one.earlier) for one in pairs] == [(1, 0), (0, 1)]


def test_places_that_are_farther_apart_than_the_tolerance_do_not_correspond() -> None:
    assert matches(FRAME, [at(50, 30)], FRAME, [at(50, 30 + TOLERANCE_MM - 1)])
    assert not matches(FRAME, [at(50, 30)], FRAME, [at(50, 30 + TOLERANCE_MM + 1)])


def test_findings_of_both_classes_are_compared_with_each_other() -> None:
    assert matches(FRAME, [at(50, 30, FindingKind.BENIGN)], FRAME, [at(50, 30)])


def test_a_mirrored_image_has_the_same_places() -> None:
    mirrored = replace(FRAME, points_right=False)
    assert mirrored.place_of(at(50, 100 - 30)) == pytest.approx(FRAME.place_of(at(50, 30)))


def test_an_image_without_pixel_spacing_or_breast_is_not_measured() -> None:
    image, _ = phantom(7, Laterality.LEFT, ViewPosition.CC)
    assert breast_frame(replace(image, imager_pixel_spacing=None)) is None
    assert breast_frame(replace(image, pixels=np.zeros_like(image.pixels))) is None
