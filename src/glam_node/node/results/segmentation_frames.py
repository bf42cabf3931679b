"""Pixel data of segmentations, written without a full-size array for each finding."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import gcd

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import Finding, SaliencyMap


def binary_frames(findings: Sequence[Finding], shape: tuple[int, int]) -> bytes:
    """Return one frame for each finding, 1 bit per pixel, the first pixel in the lowest bit (PS3.5 8.1.1 and Annex D).

    Frames follow each other without a gap, so Rows x Columns must be a multiple of 8 if there are several.
    """
    rows, columns = shape
    frame_bytes = -(-rows * columns // 8)
    packed = np.zeros(len(findings) * frame_bytes + len(findings) * frame_bytes % 2, dtype=np.uint8)
    step = 8 // gcd(columns, 8)
    for number, finding in enumerate(findings):
        first = finding.origin[0] // step * step
        lines = np.zeros((finding.origin[0] + finding.mask.shape[0] - first, columns), dtype=np.bool_)
        _put(lines, finding, finding.mask, (first, 0))
        bits = np.packbits(lines, bitorder="little")
        start = number * frame_bytes + first * columns // 8
        packed[start : start + bits.size] = bits
    return packed.tobytes()


def probability_frame(finding: Finding, shape: tuple[int, int], saliency: SaliencyMap) -> bytes:
    """Return the saliency inside the finding in steps of 1/255, and 0 elsewhere, 8 bits per pixel."""
    (row, column), (height, width) = finding.origin, finding.mask.shape
    inside = saliency.on_box(finding.kind, (row, column, row + height, column + width))
    frame = np.zeros(shape, dtype=np.uint8)
    _put(frame, finding, inside * finding.mask, (0, 0))
    return _even(frame)


def label_frame(findings: Iterable[Finding], shape: tuple[int, int], bits: int) -> bytes:
    """Return for each pixel the number of its finding, from 1; the later one where findings overlap.

    Args:
        findings: The findings.
        shape: Rows and columns of the frame.
        bits: Bits per pixel, 8 or 16.
    """
    frame = np.zeros(shape, dtype="<u2" if bits == 16 else "u1")
    for number, finding in enumerate(findings, start=1):
        (row, column), (height, width) = finding.origin, finding.mask.shape
        frame[row : row + height, column : column + width][finding.mask] = number
    return _even(frame)


def overlap(findings: Iterable[Finding]) -> bool:
    """Return whether any pixel belongs to two findings."""
    return any(_share_a_pixel(one, other) for one, other in combinations(findings, 2))


def _put(frame: NDArray[np.generic], finding: Finding, values: NDArray[np.generic], corner: tuple[int, int]) -> None:
    row, column = finding.origin[0] - corner[0], finding.origin[1] - corner[1]
    height, width = finding.mask.shape
    frame[row : row + height, column : column + width] = values


def _share_a_pixel(one: Finding, other: Finding) -> bool:
    corners = np.array((one.origin, other.origin))
    low = corners.max(axis=0)
    high = np.add(corners, (one.mask.shape, other.mask.shape)).min(axis=0)
    if (low >= high).any():
        return False
    first, second = (each.mask[tuple(map(slice, low - each.origin, high - each.origin))] for each in (one, other))
    return bool((first & second).any())


def _even(frame: NDArray[np.generic]) -> bytes:
    values = frame.tobytes()
    return values if len(values) % 2 == 0 else values + b"\0"
