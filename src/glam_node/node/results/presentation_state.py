"""Grayscale Softcopy Presentation States: outlines and scores that the workstation draws on a view (PS3.3 A.33.1)."""

from collections.abc import Mapping, Sequence

from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from glam_node.inference.findings import AlgorithmIdentification, Finding, Findings, ImageFindings
from glam_node.inference.reading import imager_pixel_spacing
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_object, reference
from glam_node.node.results.grey_scale import copy_grey_scale
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.outline import outline
from glam_node.node.results.sources import source_header
from glam_node.node.results.tracking import DISPLAY_RGB, TrackedFinding, score_texts, tracked_findings
from glam_node.result_kinds import PRESENTATION_STATE

_STATEMENT_LAYER = "RESEARCH USE"
_WHITE = 0xFFFF
"""Recommended display value of graphics on displays without colour: white."""

_TEXT_WIDTH = 0.4
_TEXT_HEIGHT = 0.04


def write_presentation_states(
    findings: Findings,
    sources: Mapping[str, Dataset],
    segmentations: Sequence[Dataset],  # noqa: ARG001 - all writers have the same parameters
    identity: ResultIdentity,
) -> list[Dataset]:
    """Return one presentation state for each view with findings, each in a series of its own.

    Each finding is a graphic layer with its outline and its score. The whole image is shown, scaled to fit, in its own
    grey scale.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        segmentations: Not used; all writers have the same parameters.
        identity: The device that writes the states.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    return [
        _write(findings.algorithm, image, sources[image.sop_instance_uid], identity)
        for image in findings.images
        if image.findings
    ]


def _write(
    algorithm: AlgorithmIdentification, image: ImageFindings, source: Dataset, identity: ResultIdentity
) -> Dataset:
    header = source_header(source)
    state = new_object(
        header,
        algorithm,
        identity,
        sop_class_uid=GrayscaleSoftcopyPresentationStateStorage,
        modality="PR",
        role="presentation state",
        source_uids=[image.sop_instance_uid],
        series_number=identity.series_number_of(PRESENTATION_STATE, image),
        subject=f"marks {view_name(image)}",
    )
    state.Laterality = str(image.image_laterality)
    state.ContentLabel = "FINDINGS"
    state.ContentDescription = identity.short_statement(algorithm)
    state.ContentCreatorName = ""
    tracked = list(tracked_findings(image, algorithm, identity))
    _refer(state, header)
    state.DisplayedAreaSelectionSequence = [_whole_image(image, source)]
    state.GraphicLayerSequence = [_layer(number, one) for number, one in enumerate(tracked, start=1)]
    state.GraphicLayerSequence.append(_statement_layer(len(tracked) + 1))
    state.GraphicAnnotationSequence = [_annotation(one, image, header, algorithm, identity) for one in tracked]
    state.GraphicAnnotationSequence.append(_statement(image, header, algorithm, identity))
    copy_grey_scale(source, state)
    finish(state, [source], identity)
    return state


def _refer(state: Dataset, header: Dataset) -> None:
    series = Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ReferencedImageSequence = [reference(header)]
    state.ReferencedSeriesSequence = [series]


def _whole_image(image: ImageFindings, source: Dataset) -> Dataset:
    """Return the displayed area of the whole image; its first pixel is (1, 1), unlike in graphics (PS3.3 C.10.4)."""
    rows, columns = image.shape
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [columns, rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    row_spacing, column_spacing = imager_pixel_spacing(source) or (1.0, 1.0)
    square = row_spacing == column_spacing
    area.PresentationPixelAspectRatio = [1, 1] if square else [round(row_spacing * 1e6), round(column_spacing * 1e6)]
    return area


def _layer_name(tracked: TrackedFinding) -> str:
    """Return the name of a finding's layer, such as MALIGNANT 1, in at most 16 characters (VR CS)."""
    _, _, name = tracked.tracking_id.partition(f" {tracked.finding.kind} ")
    return f"{tracked.finding.kind} {name}".upper()[:16]


def _layer(order: int, tracked: TrackedFinding) -> Dataset:
    layer = Dataset()
    layer.GraphicLayer = _layer_name(tracked)
    layer.GraphicLayerOrder = order
    layer.GraphicLayerRecommendedDisplayGrayscaleValue = _WHITE
    layer.GraphicLayerRecommendedDisplayCIELabValue = list(
        CIELabColor.from_rgb(*DISPLAY_RGB[tracked.finding.kind]).value
    )
    layer.GraphicLayerDescription = tracked.tracking_id
    return layer


def _statement_layer(order: int) -> Dataset:
    layer = Dataset()
    layer.GraphicLayer = _STATEMENT_LAYER
    layer.GraphicLayerOrder = order
    layer.GraphicLayerRecommendedDisplayGrayscaleValue = _WHITE
    return layer


def _annotation(
    tracked: TrackedFinding,
    image: ImageFindings,
    header: Dataset,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
) -> Dataset:
    finding = tracked.finding
    annotation = Dataset()
    annotation.ReferencedImageSequence = [reference(header)]
    annotation.GraphicLayer = _layer_name(tracked)
    annotation.GraphicObjectSequence = [_polyline(finding)]
    text = f"{tracked.tracking_id}: score {tracked.shown.text}\r\n{identity.short_statement(algorithm)}"
    annotation.TextObjectSequence = [_text_beside(finding, image.shape, text)]
    return annotation


def _statement(
    image: ImageFindings, header: Dataset, algorithm: AlgorithmIdentification, identity: ResultIdentity
) -> Dataset:
    whose = f"{algorithm.algorithm_name} {algorithm.algorithm_version}  {view_name(image)}"
    text = f"{whose}: {score_texts(image, algorithm, identity)}\r\n{identity.short_statement(algorithm)}"
    annotation = Dataset()
    annotation.ReferencedImageSequence = [reference(header)]
    annotation.GraphicLayer = _STATEMENT_LAYER
    annotation.TextObjectSequence = [_text_in_corner(image.shape, text)]
    return annotation


def _polyline(finding: Finding) -> Dataset:
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


def _text_beside(finding: Finding, shape: tuple[int, int], text: str) -> Dataset:
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


def _text_in_corner(shape: tuple[int, int], text: str) -> Dataset:
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
