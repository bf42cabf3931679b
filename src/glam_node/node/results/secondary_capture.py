"""Secondary Captures: pictures with burned-in marks, for workstations that display no other results (PS3.3 A.8)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from highdicom.sr import CodedConcept
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import AlgorithmIdentification, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_object, reference
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.overlay import caption, captioned
from glam_node.node.results.segmentation import segment_label
from glam_node.node.results.sources import source_header
from glam_node.node.results.tracking import DISPLAY_RGB, tracked_findings
from glam_node.node.results.view_picture import PANEL_HEIGHT, Hanging, ReadView, ReducedView, hung_view, text_font
from glam_node.result_kinds import SECONDARY_CAPTURE

_VIEW_HEIGHT = 1600
_BANNER_COLOUR = (255, 200, 60)
_TEXT_COLOUR = (235, 235, 235)
# The number of the sheet among the pictures of a study, after those of the four views
_SHEET = 4
_EMPTY_PANEL = (480, 480)


def write_secondary_captures(
    findings: Findings,
    sources: Mapping[str, Dataset],
    segmentations: Sequence[Dataset],  # noqa: ARG001 - all writers have the same parameters
    identity: ResultIdentity,
    read: ReadView,
) -> Iterator[Dataset]:
    """Yield one picture of all views, or one for each view if `identity.secondary_capture` is "views".

    Each picture is in a series of its own. Views are reduced, shown in the image's own window, and turned so that they
    hang as films do. Marks, scores, reasons for failures and the statement of the intended use are burned in. Only one
    view is read at a time, and views that were not analysed are not read. A view that cannot be drawn is replaced by a
    panel with the reason.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        segmentations: Not used; all writers have the same parameters.
        identity: The device that writes the pictures.
        read: The function that reads a view.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    images, algorithm = findings.images, findings.algorithm
    if identity.secondary_capture == "views":
        for image in images:
            panel = _panel(image, sources, algorithm, identity, partial(read, image.sop_instance_uid, _VIEW_HEIGHT))
            yield _write(algorithm, [image], sources, _bannered(panel, algorithm, identity), identity)
        return
    panels = {}
    for image in images:
        panel = _panel(image, sources, algorithm, identity, partial(read, image.sop_instance_uid, PANEL_HEIGHT))
        panels[image.image_laterality, image.view_position] = panel
    yield _write(algorithm, images, sources, _bannered(_sheet(panels), algorithm, identity), identity)


def _panel(
    image: ImageFindings,
    sources: Mapping[str, Dataset],
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    read: Callable[[], ReducedView],
) -> Image.Image:
    lines = caption(image, algorithm, identity)
    if image.failure is not None:
        return _text_panel(lines)
    tracked = tracked_findings(image, algorithm, identity)
    labels = [(segment_label(one), DISPLAY_RGB[one.finding.kind]) for one in tracked]
    try:
        view = read()
    except UnsupportedMammogram as error:
        return _text_panel([*lines, str(error)])
    return captioned(hung_view(view, image, sources[image.sop_instance_uid], algorithm, identity), lines, labels)


def _text_panel(lines: Sequence[str]) -> Image.Image:
    font = text_font(16)
    width = max(_EMPTY_PANEL[0], *(int(font.getlength(line)) + 32 for line in lines))
    panel = Image.new("RGB", (width, _EMPTY_PANEL[1]))
    draw = ImageDraw.Draw(panel)
    for number, line in enumerate(lines):
        draw.text((16, 16 + 24 * number), line, fill=_TEXT_COLOUR, font=font)
    return panel


def _sheet(panels: Mapping[tuple[Laterality, ViewPosition], Image.Image]) -> Image.Image:
    """Return a sheet of panels, arranged as films hang: CC above MLO, the right breast on the left."""
    width = max(panel.width for panel in panels.values())
    height = max(panel.height for panel in panels.values())
    sheet = Image.new("RGB", (2 * width, 2 * height))
    for (laterality, view), panel in panels.items():
        column = 0 if laterality is Laterality.RIGHT else 1
        row = 0 if view is ViewPosition.CC else 1
        # The chest walls meet in the middle.
        left = width - panel.width if column == 0 else width
        sheet.paste(panel, (left, row * height))
    return sheet


def _bannered(picture: Image.Image, algorithm: AlgorithmIdentification, identity: ResultIdentity) -> Image.Image:
    text = identity.short_statement(algorithm).upper()
    size = 28
    while size > 10 and text_font(size).getlength(text) > picture.width - size:
        size -= 1
    font = text_font(size)
    width = max(picture.width, int(font.getlength(text)) + size)
    bannered = Image.new("RGB", (width, picture.height + 2 * size))
    bannered.paste(picture, (0, 2 * size))
    ImageDraw.Draw(bannered).text((size // 2, size // 3), text, fill=_BANNER_COLOUR, font=font)
    return bannered


def _write(
    algorithm: AlgorithmIdentification,
    images: Sequence[ImageFindings],
    sources: Mapping[str, Dataset],
    picture: Image.Image,
    identity: ResultIdentity,
) -> Dataset:
    headers = [source_header(sources[image.sop_instance_uid]) for image in images]
    one_view = identity.secondary_capture == "views"
    capture = new_object(
        headers[0],
        algorithm,
        identity,
        sop_class_uid=SecondaryCaptureImageStorage,
        modality="OT",
        role=f"secondary capture of {identity.secondary_capture}",
        source_uids=[image.sop_instance_uid for image in images],
        series_number=identity.series_number_of(SECONDARY_CAPTURE, *((images[0],) if one_view else (None, _SHEET))),
        subject=f"picture {view_name(images[0])}" if one_view else "picture",
    )
    sides = {str(image.image_laterality) for image in images}
    capture.Laterality = sides.pop() if len(sides) == 1 else ""
    capture.PatientOrientation = Hanging.of(images[0], headers[0]).orientation(headers[0]) if one_view else ""
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = identity.statement(algorithm)
    capture.SourceImageSequence = [_source(header) for header in headers]
    _set_pixels(capture, picture)
    finish(capture, [sources[image.sop_instance_uid] for image in images], identity)
    return capture


def _source(header: Dataset) -> Dataset:
    item = reference(header)
    item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.SOURCE_IMAGE)]
    return item


def _set_pixels(capture: Dataset, picture: Image.Image) -> None:
    capture.SamplesPerPixel = 3
    capture.PhotometricInterpretation = "RGB"
    capture.PlanarConfiguration = 0
    capture.Rows, capture.Columns = picture.height, picture.width
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit = 7
    capture.PixelRepresentation = 0
    values = picture.tobytes()
    capture.PixelData = values + b"\0" * (len(values) % 2)
