"""Tests of odd images from DICOM to the network's input: each is analysed as defined here, or refused with a reason."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.preprocessing import PreparedView, prepare
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.phantom import make_view
from glam_node.inference.reading import read_mammogram
from tests.unit.inference.glam.views import half_ellipse

Pixels = NDArray[np.uint16]
Change = Callable[[Pixels], Pixels]
L, R = Laterality.LEFT, Laterality.RIGHT


def stored(dataset: Dataset) -> Pixels:
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns).astype(np.uint16)


def with_pixels(dataset: Dataset, pixels: Pixels) -> Dataset:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.astype("<u2").tobytes()
    return dataset


def seen(dataset: Dataset) -> PreparedView:
    return prepare(read_mammogram(dataset))


def phantom(
    laterality: Laterality = L,
    view: ViewPosition = ViewPosition.CC,
    size: tuple[int, int] = (640, 480),
    photometric_interpretation: str = "MONOCHROME2",
) -> Dataset:
    rows, columns = size
    return make_view(
        3, laterality, view, rows=rows, columns=columns, photometric_interpretation=photometric_interpretation
    ).dataset


def changed(change: Change) -> Dataset:
    dataset = phantom()
    return with_pixels(dataset, change(stored(dataset)))


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("size", [(640, 480), (900, 560)])
@pytest.mark.parametrize("view", ViewPosition)
@pytest.mark.parametrize("laterality", Laterality)
def test_a_view_is_analysed_but_not_mirrored_nor_with_the_other_laterality(
    laterality: Laterality, view: ViewPosition, size: tuple[int, int], photometric_interpretation: str
) -> None:
    dataset = phantom(laterality, view, size, photometric_interpretation)
    assert seen(dataset).geometry.orientation.points_right is (laterality is L)
    dataset.ImageLaterality = R if laterality is L else L
    with pytest.raises(UnsupportedMammogram, match="laterality may be wrong"):
        seen(dataset)
    dataset.ImageLaterality = laterality
    with pytest.raises(UnsupportedMammogram, match="mirrored"):
        seen(with_pixels(dataset, stored(dataset)[:, ::-1]))


@pytest.mark.parametrize("laterality", Laterality)
def test_an_mlo_view_that_is_upside_down_without_saying_so_is_refused(laterality: Laterality) -> None:
    dataset = phantom(laterality, ViewPosition.MLO, (1280, 960))
    turned = with_pixels(dataset, stored(dataset)[::-1])
    with pytest.raises(UnsupportedMammogram, match="upside down"):
        seen(turned)


def test_a_view_that_says_it_is_rotated_by_half_a_turn_is_seen_upright() -> None:
    plain = phantom(L, ViewPosition.MLO, (900, 560))
    turned = with_pixels(phantom(L, ViewPosition.MLO, (900, 560)), stored(plain)[::-1, ::-1])
    turned.PatientOrientation = ["P", "HL"]
    assert np.array_equal(seen(turned).window, seen(plain).window)


def test_monochrome1_is_seen_as_monochrome2() -> None:
    assert np.array_equal(seen(phantom(photometric_interpretation="MONOCHROME1")).window, seen(phantom()).window)


def with_labels(pixels: Pixels) -> Pixels:
    labelled = pixels.copy()
    labelled[10:40, 380:470] = labelled[600:630, 380:470] = 4095
    return labelled


def with_frame(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((30, 30), (0, 40)), constant_values=4095)


def with_background(pixels: Pixels) -> Pixels:
    return pixels + np.uint16(150)


@pytest.mark.parametrize("change", [with_labels, with_frame, with_background])
def test_the_breast_is_located_without_labels_frame_or_offset(change: Change) -> None:
    plain, odd = seen(phantom()), seen(changed(change))
    assert odd.geometry.pad_top == plain.geometry.pad_top
    assert np.count_nonzero(odd.breast) == np.count_nonzero(plain.breast)


def test_a_label_in_front_of_the_breast_belongs_to_no_finding() -> None:
    view = seen(changed(with_labels))
    assert not view.breast[10:40, 380:470].any()
    assert not view.breast[600:630, 380:470].any()


def ellipse(pixels: Pixels) -> Pixels:
    y, x = np.ogrid[-1:1:640j, -1:1:480j]
    return np.where(y**2 + x**2 <= 1, 900 + np.arange(480) * 2, 0).astype(np.uint16)


def wider_than_the_image(pixels: Pixels) -> Pixels:
    return half_ellipse((640, 480), 660, 530)


@pytest.mark.parametrize(
    ("change", "remark"),
    [(ellipse, "does not show whether that is true"), (wider_than_the_image, "a part of it may be missing")],
)
def test_a_breast_that_touches_every_border_is_analysed_with_a_remark(change: Change, remark: str) -> None:
    assert any(remark in told for told in seen(changed(change)).remarks)


def small(pixels: Pixels) -> Pixels:
    return pixels[220:420, :200]


def empty(pixels: Pixels) -> Pixels:
    return np.zeros_like(pixels)


def label_alone(pixels: Pixels) -> Pixels:
    return with_labels(np.zeros_like(pixels))


def noise(pixels: Pixels) -> Pixels:
    return np.random.default_rng(0).integers(1, 4000, pixels.shape).astype(np.uint16)


def gradient(pixels: Pixels) -> Pixels:
    return np.where(pixels == 0, np.linspace(100, 1200, 640)[:, None], pixels).astype(np.uint16)


def gradient_below(pixels: Pixels) -> Pixels:
    return np.where(pixels == 0, np.linspace(-1200, 600, 640).clip(0)[:, None], pixels).astype(np.uint16)


def mask(pixels: Pixels) -> Pixels:
    return (pixels > 0) * np.uint16(255)


def inverted(pixels: Pixels) -> Pixels:
    return np.uint16(4095) - pixels


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (small, "too small"),
        (empty, "black everywhere"),
        (label_alone, "nothing that differs from its background"),
        (noise, "No background was found"),
        (gradient, "No background was found"),
        (gradient_below, "A corner of the image opposite to the chest wall looks like breast"),
        (mask, "no contrast"),
        (inverted, "the image is inverted"),
        (np.rot90, "turned by 90 degrees"),
    ],
)
def test_an_image_that_cannot_be_a_breast_is_refused_with_a_reason(change: Change, reason: str) -> None:
    with pytest.raises(UnsupportedMammogram, match=reason):
        seen(changed(change))
