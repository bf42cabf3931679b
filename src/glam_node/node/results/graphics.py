"""Graphic and text objects of a presentation state (PS3.3 C.10.5)."""

from pydicom.dataset import Dataset

from glam_node.inference.findings import Finding
from glam_node.node.results.outline import outline

GREY = 0xFFFF
"""Recommended display value of graphics on displays without colour: white."""

_TEXT_WIDTH = 0.4
_TEXT_HEIGHT = 0.04


def polyline(finding: Finding) -> Dataset:
    """Return the closed outline of a finding as a graphic object.

    Its PIXEL units equal SR coordinates: column before row, and the outer corner of the first pixel is (0, 0).
    """
    points = outline(finding)
    graphic = Dataset()
    graphic.GraphicAnnotationUnits = "PIXEL"
    graphic.GraphicDimensions = 2
    graphic.NumberOfGraphicPoints = len(points)
    graphic.GraphicData = [float(value) for value in points.ravel()]
    graphic.GraphicType = "POLYLINE"
    graphic.GraphicFilled = "N"
    return graphic


def text_beside(finding: Finding, shape: tuple[int, int], text: str) -> Dataset:
    """Return text to the right of a finding, or to its left if there is no room on the right; always inside the image.

    Args:
        finding: The finding.
        shape: Rows and columns of the image.
        text: The text.
    """
    rows, columns = shape
    row, column = finding.origin
    width = _TEXT_WIDTH * columns
    right = column + finding.mask.shape[1]
    left = float(right) if right + width <= columns else max(0.0, column - width)
    top = min(float(row), rows * (1 - _TEXT_HEIGHT))
    return _text(text, left, top, left + width, top + rows * _TEXT_HEIGHT)


def text_in_corner(shape: tuple[int, int], text: str) -> Dataset:
    """Return text along the upper edge of an image with this shape (rows and columns)."""
    rows, columns = shape
    return _text(text, 0.0, 0.0, float(columns), rows * _TEXT_HEIGHT)


def _text(text: str, left: float, top: float, right: float, bottom: float) -> Dataset:
    item = Dataset()
    item.BoundingBoxAnnotationUnits = "PIXEL"
    item.UnformattedTextValue = text
    item.BoundingBoxTopLeftHandCorner = [left, top]
    item.BoundingBoxBottomRightHandCorner = [right, bottom]
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    return item
