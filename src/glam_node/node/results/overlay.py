"""Overlay pictures for people: the source image with the segments of stored segmentations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from glam_node.inference.findings import AlgorithmIdentification, ImageFindings
from glam_node.inference.reading import read_mammogram
from glam_node.node.results.element_values import text_value, text_values
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.tracking import score_texts
from glam_node.node.results.view_picture import text_font

_FILL = 0.22
_LAYER_FILL, _LAYER_OUTLINE = 72, 255
"""Opacity of the inside and of the outline of a segment, 0 to 255."""
_TEXT_COLOUR = (235, 235, 235)
_WARNING_COLOUR = (255, 200, 60)
# Percentile of the pixel values that is shown as white, since some markers and clips are brighter than everything else
_WHITE_PERCENTILE = 99.7

Mask = NDArray[np.bool_]
_Value = TypeVar("_Value", np.uint8, np.uint16)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One segment as an archive stores it."""

    label: str
    colour: tuple[int, int, int]
    mask: Mask


def stored_segments(sop_instance_uid: str, segmentations: Iterable[Dataset]) -> Iterator[StoredSegment]:
    """Yield the segments that belong to the image with this SOP Instance UID, and skip all other objects."""
    for segmentation in segmentations:
        sources = {item.ReferencedSOPInstanceUID for item in segmentation.get("SourceImageSequence", [])}
        if sop_instance_uid not in sources:
            continue
        frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns) > 0
        segments = {int(segment.SegmentNumber): segment for segment in segmentation.SegmentSequence}
        shared = segmentation.SharedFunctionalGroupsSequence[0]
        for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
            # An item that all frames share may be in the shared functional groups (PS3.3 C.7.6.16).
            identification = groups if "SegmentIdentificationSequence" in groups else shared
            segment = segments[int(identification.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
            colour = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb(clip=True)
            yield StoredSegment(str(segment.SegmentLabel), colour, frame)


def write_overlay(
    path: Path,
    source: Dataset,
    segmentations: Sequence[Dataset],
    image: ImageFindings,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    *,
    maximum_height: int = 1200,
) -> None:
    """Write a PNG of `source` with its segments tinted and outlined in their colours.

    The caption contains the view, the scores (or the reason why there are none) and the statement of the intended use.

    Args:
        path: The file to write.
        source: The image.
        segmentations: Stored segmentations, of this image and of others.
        image: The findings in the image.
        algorithm: The algorithm that found them.
        identity: The device that writes the picture.
        maximum_height: The greatest height of the image in the picture, in pixels.

    Raises:
        UnsupportedMammogram: `source` cannot be decoded.
    """
    draw_overlay(source, segmentations, image, algorithm, identity, maximum_height=maximum_height).save(
        path, format="PNG"
    )


def draw_overlay(
    source: Dataset,
    segmentations: Sequence[Dataset],
    image: ImageFindings,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    *,
    maximum_height: int = 1200,
) -> Image.Image:
    """Return the picture that `write_overlay` writes."""
    segments = list(stored_segments(image.sop_instance_uid, segmentations))
    return draw_segments(
        read_mammogram(source, None).pixels, segments, image, algorithm, identity, maximum_height=maximum_height
    )


def draw_segments(
    pixels: NDArray[np.uint16],
    segments: Iterable[StoredSegment],
    image: ImageFindings,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    *,
    maximum_height: int,
) -> Image.Image:
    """Return an overlay picture of decoded pixels (rows x columns), with one mask of `segments` in memory at a time."""
    scale = _scale_to(pixels.shape[0], maximum_height)
    white = _white_value(pixels)
    shown = np.clip(_resize(pixels, scale) * np.float32(255.0 / white), 0, 255).astype(np.uint8)
    canvas = np.repeat(shown[..., np.newaxis], 3, axis=2)
    labels = []
    for segment in segments:
        _tint(canvas, _resize(segment.mask.view(np.uint8) * np.uint8(255), scale) > 127, segment.colour)
        labels.append((segment.label, segment.colour))
    return captioned(Image.fromarray(canvas), caption(image, algorithm, identity), labels)


def _scale_to(rows: int, maximum_height: int) -> float:
    """Return the factor that reduces an image to `maximum_height`, or enlarges a tiny one by a whole number."""
    return maximum_height / rows if rows > maximum_height else float(max(1, 480 // rows))


def _white_value(pixels: NDArray[np.uint16]) -> float:
    """Return the pixel value that is shown as white."""
    sample = pixels.ravel()[::7]
    lit = sample[sample > 0]
    return max(1.0, float(np.percentile(lit, _WHITE_PERCENTILE)) if lit.size else float(pixels.max()))


def _resize(values: NDArray[_Value], scale: float) -> NDArray[_Value]:
    """Return the scaled picture: averaged over areas if it is reduced, with repeated pixels if it is enlarged."""
    rows, columns = values.shape
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), dtype=values.dtype)


def _tint(canvas: NDArray[np.uint8], mask: Mask, colour: tuple[int, int, int]) -> None:
    canvas[mask] = ((1 - _FILL) * canvas[mask] + _FILL * np.array(colour)).astype(np.uint8)
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, colour, 2)


def caption(image: ImageFindings, algorithm: AlgorithmIdentification, identity: ResultIdentity) -> list[str]:
    """Return the lines below a picture: the view, the scores or the reason for their absence, and the intended use."""
    if image.failure is None:
        scores = f"{score_texts(image, algorithm, identity)}   findings: {len(image.findings)}"
    else:
        scores = f"not analysed: {image.failure}"
    return [
        f"{view_name(image)}   {algorithm.algorithm_name} {algorithm.algorithm_version}",
        scores,
        identity.short_statement(algorithm),
    ]


def captioned(
    picture: Image.Image, lines: Sequence[str], labels: Sequence[tuple[str, tuple[int, int, int]]]
) -> Image.Image:
    """Return `picture` with `lines` below it, the last of them as a warning, and `labels` in their colours."""
    size = max(13, picture.height // 60)
    font = text_font(size)
    entries = [(line, _TEXT_COLOUR) for line in lines[:-1]] + [(lines[-1], _WARNING_COLOUR)]
    entries += labels
    pitch = size + 5
    widest = max(int(font.getlength(text)) for text, _ in entries) + 2 * pitch
    captioned = Image.new("RGB", (max(picture.width, widest), picture.height + pitch * len(entries) + pitch))
    captioned.paste(picture, (0, 0))
    draw = ImageDraw.Draw(captioned)
    for number, (text, colour) in enumerate(entries):
        draw.text((pitch // 2, picture.height + pitch // 2 + number * pitch), text, fill=colour, font=font)
    return captioned


def grey_layer(source: Dataset, *, maximum_height: int) -> Image.Image:
    """Return the image in 8 bits of grey, mirrored if necessary so that it hangs as films do.

    The pixel value 0 is black, and the value that only markers and clips exceed is white.

    Args:
        source: The image.
        maximum_height: The greatest height of the picture in pixels.

    Raises:
        UnsupportedMammogram: `source` cannot be decoded.
    """
    pixels = read_mammogram(source, None).pixels
    smaller = _resize(pixels, _scale_to(pixels.shape[0], maximum_height))
    shown = np.clip(smaller * np.float32(255.0 / _white_value(pixels)), 0, 255).astype(np.uint8)
    return Image.fromarray(_hung(shown, source))


def segment_layer(segments: Iterable[StoredSegment], source: Dataset, *, maximum_height: int) -> Image.Image:
    """Return a picture with each segment tinted and outlined in its colour, transparent elsewhere.

    The layer has the size of the grey layer and is mirrored like it.

    Args:
        segments: The segments.
        source: The image that they belong to.
        maximum_height: The greatest height of the picture in pixels.
    """
    scale = _scale_to(int(source.Rows), maximum_height)
    layer = np.zeros((*_resize(np.zeros((source.Rows, source.Columns), np.uint8), scale).shape, 4), dtype=np.uint8)
    for segment in segments:
        mask = _resize(segment.mask.view(np.uint8) * np.uint8(255), scale) > 127
        layer[mask] = (*segment.colour, _LAYER_FILL)
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(layer, contours, -1, (*segment.colour, _LAYER_OUTLINE), 2)
    return Image.fromarray(_hung(layer, source))


def is_mirrored_to_hang(source: Dataset) -> bool:
    """Return whether an image must be mirrored to hang as films do.

    A right breast then has its chest wall at the right, a left breast at the left. The first value of Patient
    Orientation states the direction of the rows (PS3.3 C.7.6.1.1.1).
    """
    rows_run_to = "".join(text_values(source, "PatientOrientation")[:1]).upper()
    laterality = (text_value(source, "ImageLaterality") or text_value(source, "Laterality")).upper()
    return (laterality, rows_run_to[:1]) in {("R", "A"), ("L", "P")}


def _hung(picture: NDArray[np.uint8], source: Dataset) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[:, ::-1]) if is_mirrored_to_hang(source) else picture
