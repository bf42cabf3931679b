"""The outline of a finding in SR coordinates."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import Finding

_MAGNIFICATION = 3
# Maximum distance in pixels of the polyline from the edge of the mask. Viewers do not show so small a distance, and a
# report has thousands of points less.
_TOLERANCE_PX = 0.4
_TOLERANCE_OF_EXTENT = 0.004
# A value with VR FL holds at most 65,534 bytes in Explicit VR (PS3.5 7.1.2). A point has two values of four bytes.
_MAXIMUM_POINTS = 65534 // 8
_outlines: WeakKeyDictionary[Finding, NDArray[np.float64]] = WeakKeyDictionary()
"""Outlines of the findings of a study, each of which several results contain."""


def long_axis_mm(points: NDArray[np.float64], pixel_spacing: Sequence[float]) -> float:
    """Return the largest distance between two points in mm.

    Args:
        points: Float array of shape (n, 2), column before row, in pixels.
        pixel_spacing: Spacing of rows, then of columns, in mm.
    """
    row_spacing, column_spacing = pixel_spacing
    places = points * (column_spacing, row_spacing)
    hull = cv2.convexHull(places.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    return float(np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(axis=-1).max()))


def outline(finding: Finding) -> NDArray[np.float64]:
    """Return a closed polyline around the largest part of a finding.

    Returns:
        Float array of shape (n, 2), read-only, column before row; the last point repeats the first. In the image
        coordinates of PS3.3 C.18.6.1.2 the outer corner of the first pixel is (0, 0) and its centre (0.5, 0.5). n is at
        least 4, even around a single pixel, and at most the number of points that fit into one value.
    """
    points = _outlines.get(finding)
    if points is None:
        points = _outlines[finding] = _outline(finding)
    return points


def _outline(finding: Finding) -> NDArray[np.float64]:
    padded = np.pad(finding.mask.view(np.uint8), 1)
    magnified = cv2.resize(padded, None, fx=_MAGNIFICATION, fy=_MAGNIFICATION, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(magnified, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea)
    tolerance = max(_TOLERANCE_PX, _TOLERANCE_OF_EXTENT * max(finding.mask.shape))
    points = cv2.approxPolyDP(largest, tolerance * _MAGNIFICATION, closed=True).reshape(-1, 2)
    if len(points) < 3:
        points = largest.reshape(-1, 2)
    row, column = finding.origin
    places = (points + 0.5) / _MAGNIFICATION - 1 + (column, row)
    step = -(-len(places) // (_MAXIMUM_POINTS - 1))
    closed = np.vstack([places[::step], places[:1]])
    closed.flags.writeable = False
    return closed
