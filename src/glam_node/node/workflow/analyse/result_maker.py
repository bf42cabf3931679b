"""Creation of the DICOM objects of one job from its findings and source images, one object after the other.

When a kind of result cannot be created, for an image or for the study, the reason is kept and the others are created.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import structlog
from pydicom.dataset import Dataset

from glam_node import result_kinds
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings, ImageFindings
from glam_node.inference.reading import read_dataset
from glam_node.node.errors import PermanentError
from glam_node.node.results.encapsulated_pdf import write_encapsulated_pdf
from glam_node.node.results.encoding import encoded_file
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.key_object_selection import write_key_object_selection
from glam_node.node.results.mammography_cad_sr import write_mammography_cad_sr
from glam_node.node.results.measurement_report import report_content, write_measurement_report
from glam_node.node.results.parametric_map import write_parametric_maps
from glam_node.node.results.presentation_state import write_presentation_states
from glam_node.node.results.prior_exams import Priors
from glam_node.node.results.secondary_capture import write_secondary_captures
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP, write_segmentations
from glam_node.node.results.sources import refuse_different_people
from glam_node.node.results.view_picture import ReducedView, reduced_view
from glam_node.node.workflow.analyse.predecessors import name_predecessor
from glam_node.node.workflow.record.failure import is_machine_failure, place_of, reason_for_archive

log = structlog.get_logger(__name__)

# Attributes that other results need to refer to a result; its pixels are dropped as soon as it is written.
_IDENTIFIERS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "Rows",
    "Columns",
    "SegmentSequence",
)
_SEGMENTATION_TYPES = {
    result_kinds.SEGMENTATION: BINARY,
    result_kinds.FRACTIONAL_SEGMENTATION: FRACTIONAL,
    result_kinds.LABELMAP_SEGMENTATION: LABELMAP,
}
# Kinds that a measurement report does not refer to: the two classes of measurement report, and the key object
# selection, which itself refers to the reports.
_NAMING = (result_kinds.MEASUREMENT_REPORT, result_kinds.COMPREHENSIVE_SR, result_kinds.KEY_OBJECT_SELECTION)


@dataclass(frozen=True, slots=True)
class ResultSelection:
    """Results for one group of destinations."""

    kinds: AbstractSet[str]
    """Kinds of results; reports and key object selections name objects of these kinds only."""
    standby: AbstractSet[str] = frozenset()
    """Kinds that are also made, in case a destination does not accept one of the others."""
    earlier: Mapping[str, Path] = field(default_factory=dict)
    """File of the latest report of an earlier job that the destinations have, by SOP class."""


@dataclass(frozen=True, slots=True)
class MadeResult:
    """One encoded DICOM object."""

    kind: str
    dataset: Dataset
    parts: Sequence[bytes]
    """Bytes of the object's file, in pieces."""


@dataclass(frozen=True, slots=True)
class UnwrittenResult:
    """A kind of result that could not be created for one image or for the study."""

    kind: str
    view: str
    """View of the image (R CC, L MLO ...); empty for the study."""
    sop_instance_uid: str
    """SOP Instance UID of the image; empty for the study."""
    reason: str

    def __str__(self) -> str:
        """Return one sentence for a person or an archive."""
        of = f" of {self.view}" if self.view else ""
        return f"The {self.kind.replace('_', ' ')}{of} could not be written: {self.reason}"


@dataclass
class ResultMaker:
    """Maker of those results of one job that look alike, for one selection after the other."""

    findings: Findings
    sources: Mapping[str, Dataset]
    """Headers of the source images by SOP Instance UID, as `source_images.read_sources` returns them."""
    identity: ResultIdentity
    priors: Priors = ()
    """The prior exams to which the findings were compared."""
    unwritten: list[UnwrittenResult] = field(default_factory=list)
    """Results that could not be created so far."""
    _made: dict[str, list[Dataset]] = field(default_factory=dict)
    """Identifiers of the objects created so far, by kind; REFERRING kinds have only those of the last selection."""
    _contents: dict[tuple[str, ...], Dataset] = field(default_factory=dict)
    _views: dict[tuple[str, int], ReducedView] = field(default_factory=dict)
    """Views drawn so far, by SOP Instance UID and height: a picture and a PDF show the same ones."""

    def make(self, selection: ResultSelection) -> Iterator[MadeResult]:
        """Yield the objects of a selection, except those that were already made for an earlier selection.

        An object is made before the objects that refer to it.

        Raises:
            OSError: The disk failed.
            MemoryError: There was too little memory.
            PermanentError: The source images are of two people.
        """
        refuse_different_people(self.sources.values())
        for kind in result_kinds.ANALYSIS_KINDS:
            if kind in result_kinds.REFERRING:
                self._made.pop(kind, None)
            if kind in self._made or kind not in selection.kinds | selection.standby:
                continue
            self._made[kind] = []
            if kind in _OF_ONE_IMAGE or (
                kind == result_kinds.SECONDARY_CAPTURE and self.identity.secondary_capture == "views"
            ):
                for image in self.findings.images:
                    yield from self._attempt(kind, selection, image)
            else:
                yield from self._attempt(kind, selection)

    def _attempt(
        self, kind: str, selection: ResultSelection, image: ImageFindings | None = None
    ) -> Iterator[MadeResult]:
        """Yield the objects of a kind, for `image` or for the study; if that fails, keep the reason instead."""
        of_images = self if image is None else replace(self, findings=replace(self.findings, images=(image,)))
        try:
            if image is not None and image.failure is None and not _readable(self.sources[image.sop_instance_uid]):
                raise PermanentError("The image can no longer be read. Send it again.")
            for dataset in _MAKERS[kind](of_images, selection):
                name_predecessor(dataset, selection.earlier)
                parts = list(encoded_file(dataset))
                self._made[kind].append(_identifiers(dataset))
                yield MadeResult(kind, dataset, parts)
        except Exception as error:  # highdicom and pydicom raise many types for a header that they do not understand
            if is_machine_failure(error):
                raise
            view, uid = ("", "") if image is None else (view_name(image), image.sop_instance_uid)
            self.unwritten.append(UnwrittenResult(kind, view, uid, reason_for_archive(error)))
            log.warning(
                "result_not_written",
                kind=kind,
                sop_instance_uid=uid,
                failure=reason_for_archive(error),
                place=place_of(error),
            )

    def segmentations(self, selection: ResultSelection) -> list[Dataset]:
        """Return identifiers of the segmentations that the other objects of the selection refer to."""
        referred = next((kind for kind in _SEGMENTATION_TYPES if kind in selection.kinds), "")
        return list(self._made.get(referred, ()))

    def named(self, selection: ResultSelection, *left_out: str) -> list[Dataset]:
        """Return identifiers of the objects that the destination gets, the segmentations first.

        Args:
            selection: Results for the destination.
            left_out: Kinds to leave out.
        """
        segmentations = self.segmentations(selection)
        known = {one.SOPInstanceUID for one in segmentations}
        others = [
            one
            for kind, made in self._made.items()
            if kind in selection.kinds and kind not in left_out
            for one in made
            if one.SOPInstanceUID not in known
        ]
        return [*segmentations, *others]

    def report_content(self, selection: ResultSelection) -> Dataset:
        """Return the content of both classes of measurement report; the objects that it refers to must exist."""
        segmentations = self.segmentations(selection)
        lacking = [str(one) for one in self.unwritten if one.kind in selection.kinds]
        key = (*(str(one.SOPInstanceUID) for one in segmentations), *lacking)
        if key not in self._contents:
            self._contents[key] = report_content(
                self.findings, self.sources, segmentations, self.identity, lacking, self.priors
            )
        return self._contents[key]

    def view(self, sop_instance_uid: str, height: int) -> ReducedView:
        """Return a reduced picture of an image, at most a tenth higher than `height` pixels.

        Raises:
            UnsupportedMammogram: The image cannot be drawn.
            OSError: The disk failed.
            MemoryError: There was too little memory.
        """
        if (sop_instance_uid, height) not in self._views:
            self._views[sop_instance_uid, height] = self._drawn(sop_instance_uid, height)
        return self._views[sop_instance_uid, height]

    def _drawn(self, sop_instance_uid: str, height: int) -> ReducedView:
        source = self.sources[sop_instance_uid]
        try:
            return reduced_view(source if "PixelData" in source else read_dataset(Path(source.filename)), height)
        except Exception as error:  # decoders raise many types; the picture of one image must not stop the others
            if is_machine_failure(error) or isinstance(error, UnsupportedMammogram):
                raise
            raise UnsupportedMammogram(f"The image cannot be drawn: {reason_for_archive(error)}") from error


def _segmentations(kind: str, maker: ResultMaker, _: ResultSelection) -> Iterator[Dataset]:
    return write_segmentations(maker.findings, maker.sources, maker.identity, _SEGMENTATION_TYPES[kind])


def _measurement_report(maker: ResultMaker, selection: ResultSelection, *, comprehensive: bool) -> Iterator[Dataset]:
    named = maker.named(selection, *_NAMING)
    yield write_measurement_report(
        maker.report_content(selection),
        maker.findings,
        maker.sources,
        named,
        maker.identity,
        comprehensive=comprehensive,
        priors=maker.priors,
    )


def _key_object_selection(maker: ResultMaker, selection: ResultSelection) -> Iterator[Dataset]:
    named = maker.named(selection, result_kinds.KEY_OBJECT_SELECTION)
    key_objects = write_key_object_selection(maker.findings, maker.sources, named, maker.identity)
    yield from [key_objects] if key_objects is not None else []


_MAKERS: Mapping[str, Callable[[ResultMaker, ResultSelection], Iterable[Dataset]]] = {
    **{kind: partial(_segmentations, kind) for kind in _SEGMENTATION_TYPES},
    result_kinds.PARAMETRIC_MAP: lambda maker, _: write_parametric_maps(maker.findings, maker.sources, maker.identity),
    result_kinds.MAMMOGRAPHY_CAD_SR: lambda maker, selection: [
        write_mammography_cad_sr(maker.findings, maker.sources, maker.segmentations(selection), maker.identity)
    ],
    result_kinds.PRESENTATION_STATE: lambda maker, _: write_presentation_states(
        maker.findings, maker.sources, [], maker.identity
    ),
    result_kinds.SECONDARY_CAPTURE: lambda maker, _: write_secondary_captures(
        maker.findings, maker.sources, [], maker.identity, maker.view
    ),
    result_kinds.ENCAPSULATED_PDF: lambda maker, _: [
        write_encapsulated_pdf(maker.findings, maker.sources, maker.identity, maker.view, maker.priors)
    ],
    result_kinds.MEASUREMENT_REPORT: partial(_measurement_report, comprehensive=False),
    result_kinds.KEY_OBJECT_SELECTION: _key_object_selection,
    result_kinds.COMPREHENSIVE_SR: partial(_measurement_report, comprehensive=True),
}
_OF_ONE_IMAGE = frozenset({*_SEGMENTATION_TYPES, result_kinds.PARAMETRIC_MAP, result_kinds.PRESENTATION_STATE})


def _identifiers(dataset: Dataset) -> Dataset:
    identifiers = Dataset()
    for keyword in _IDENTIFIERS:
        if keyword in dataset:
            setattr(identifiers, keyword, dataset[keyword].value)
    return identifiers


def _readable(source: Dataset) -> bool:
    return "PixelData" in source or bool(getattr(source, "filename", None))
