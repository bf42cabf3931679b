"""Makes the DICOM objects of one run, one after the other, from findings and source images.

A kind of result, or an image, that a writer cannot handle is left out with its reason; the others are made.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import structlog
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings, ImageFindings
from glam_node.inference.reading import read_dataset
from glam_node.node.errors import PermanentError
from glam_node.node.results import kinds
from glam_node.node.results.encoding import encoded_file
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.key_object_selection import write_key_object_selection
from glam_node.node.results.mammography_cad_sr import write_mammography_cad_sr
from glam_node.node.results.measurement_report import report_content, write_measurement_report
from glam_node.node.results.parametric_map import write_parametric_maps
from glam_node.node.results.presentation_state import write_presentation_states
from glam_node.node.results.secondary_capture import write_secondary_captures
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP, write_segmentations
from glam_node.node.results.sources import refuse_different_people
from glam_node.node.results.view_picture import ReducedView, reduced_view
from glam_node.node.workflow.failure import in_words, place_of, stops_everything
from glam_node.node.workflow.predecessors import name_predecessor

log = structlog.get_logger(__name__)

# What others need to refer to a result; its pixels are forgotten as soon as it is written.
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
    kinds.SEGMENTATION: BINARY,
    kinds.FRACTIONAL_SEGMENTATION: FRACTIONAL,
    kinds.LABELMAP_SEGMENTATION: LABELMAP,
}
# What a measurement report does not name: itself in another class, and what names it
_NAMING = (kinds.MEASUREMENT_REPORT, kinds.COMPREHENSIVE_SR, kinds.KEY_OBJECT_SELECTION)


@dataclass(frozen=True, slots=True)
class Wish:
    """The results that a destination gets."""

    wanted: AbstractSet[str]
    """Kinds; reports and selections name objects of these kinds only."""
    standby: AbstractSet[str] = frozenset()
    """Kinds that are made too, in case the destination does not accept one of the others."""
    earlier: Mapping[str, Path] = field(default_factory=dict)
    """By SOP class, the report of an earlier run that the destination has."""


@dataclass(frozen=True, slots=True)
class Made:
    """One object, encoded."""

    kind: str
    dataset: Dataset
    parts: Sequence[bytes]
    """Its file."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A kind of result that could not be made of one image, or of the study."""

    kind: str
    view: str
    """R CC, L MLO ...; empty: of the study."""
    sop_instance_uid: str
    """The image; empty: of the study."""
    reason: str

    def __str__(self) -> str:
        """One sentence for a person or an archive."""
        of = f" of {self.view}" if self.view else ""
        return f"The {self.kind.replace('_', ' ')}{of} could not be written: {self.reason}"


@dataclass
class ResultMaker:
    """Makes the results of one run that look alike, for one wish after the other."""

    findings: Findings
    sources: Mapping[str, Dataset]
    """By SOP Instance UID, what `source_images.read_sources` read."""
    identity: ResultIdentity
    unwritten: list[Unwritten] = field(default_factory=list)
    """What could not be made so far."""
    _made: dict[str, list[Dataset]] = field(default_factory=dict)
    """By kind, identifiers of the objects so far; those of the last wish, where they depend on it."""
    _contents: dict[tuple[str, ...], Dataset] = field(default_factory=dict)

    def make(self, wish: Wish) -> Iterator[Made]:
        """Make the objects of a wish but for those that an earlier wish had too, those that others name first.

        Raises:
            OSError: The disk failed.
            MemoryError: There was too little memory.
            PermanentError: The source images are of two people.
        """
        refuse_different_people(self.sources.values())
        for kind in kinds.OF_FINDINGS:
            if kind in kinds.REFERRING:
                self._made.pop(kind, None)
            if kind in self._made or kind not in wish.wanted | wish.standby:
                continue
            self._made[kind] = []
            if kind in _OF_ONE_IMAGE or (
                kind == kinds.SECONDARY_CAPTURE and self.identity.secondary_capture == "views"
            ):
                for image in self.findings.images:
                    yield from self._attempt(kind, wish, image)
            else:
                yield from self._attempt(kind, wish)

    def _attempt(self, kind: str, wish: Wish, image: ImageFindings | None = None) -> Iterator[Made]:
        """The objects of a kind, of one image where there is one; if that fails, the reason is kept instead."""
        of_images = self if image is None else replace(self, findings=replace(self.findings, images=(image,)))
        try:
            if image is not None and image.failure is None and not _readable(self.sources[image.sop_instance_uid]):
                raise PermanentError("The image cannot be read any more. Send it again.")
            for dataset in _MAKERS[kind](of_images, wish):
                name_predecessor(dataset, wish.earlier)
                parts = list(encoded_file(dataset))
                self._made[kind].append(_identifiers(dataset))
                yield Made(kind, dataset, parts)
        except Exception as error:  # highdicom and pydicom raise many kinds for a header that they do not understand
            if stops_everything(error):
                raise
            view, uid = ("", "") if image is None else (view_name(image), image.sop_instance_uid)
            self.unwritten.append(Unwritten(kind, view, uid, in_words(error)))
            log.warning(
                "result_not_written",
                kind=kind,
                sop_instance_uid=uid,
                failure=in_words(error),
                place=place_of(error),
            )

    def segmentations(self, wish: Wish) -> list[Dataset]:
        """Return the segmentations that others refer to."""
        referred = next((kind for kind in _SEGMENTATION_TYPES if kind in wish.wanted), "")
        return list(self._made.get(referred, ()))

    def named(self, wish: Wish, *left_out: str) -> list[Dataset]:
        """Return the objects that the destination gets beside images: first of all the segmentations."""
        segmentations = self.segmentations(wish)
        known = {one.SOPInstanceUID for one in segmentations}
        others = [
            one
            for kind, made in self._made.items()
            if kind in wish.wanted and kind not in left_out
            for one in made
            if one.SOPInstanceUID not in known
        ]
        return [*segmentations, *others]

    def report_content(self, wish: Wish) -> Dataset:
        """Return what both classes of measurement report say; asked for when what they name is there."""
        segmentations = self.segmentations(wish)
        lacking = [str(one) for one in self.unwritten if one.kind in wish.wanted]
        key = (*(str(one.SOPInstanceUID) for one in segmentations), *lacking)
        if key not in self._contents:
            self._contents[key] = report_content(self.findings, self.sources, segmentations, self.identity, lacking)
        return self._contents[key]

    def view(self, sop_instance_uid: str, height: int) -> ReducedView:
        """Return a picture of an image. Raises UnsupportedMammogram when it cannot be drawn, OSError, MemoryError."""
        source = self.sources[sop_instance_uid]
        try:
            return reduced_view(source if "PixelData" in source else read_dataset(Path(source.filename)), height)
        except Exception as error:  # decoders raise many kinds; the picture of one image does not stop the others
            if stops_everything(error) or isinstance(error, UnsupportedMammogram):
                raise
            raise UnsupportedMammogram(f"The image cannot be drawn: {in_words(error)}") from error


def _segmentations(kind: str, maker: ResultMaker, _: Wish) -> Iterator[Dataset]:
    return write_segmentations(maker.findings, maker.sources, maker.identity, _SEGMENTATION_TYPES[kind])


def _measurement_report(maker: ResultMaker, wish: Wish, *, comprehensive: bool) -> Iterator[Dataset]:
    named = maker.named(wish, *_NAMING)
    yield write_measurement_report(
        maker.report_content(wish), maker.findings, maker.sources, named, maker.identity, comprehensive=comprehensive
    )


def _key_object_selection(maker: ResultMaker, wish: Wish) -> Iterator[Dataset]:
    named = maker.named(wish, kinds.KEY_OBJECT_SELECTION)
    selection = write_key_object_selection(maker.findings, maker.sources, named, maker.identity)
    yield from [selection] if selection is not None else []


_MAKERS: Mapping[str, Callable[[ResultMaker, Wish], Iterable[Dataset]]] = {
    **{kind: partial(_segmentations, kind) for kind in _SEGMENTATION_TYPES},
    kinds.PARAMETRIC_MAP: lambda maker, _: write_parametric_maps(maker.findings, maker.sources, maker.identity),
    kinds.MAMMOGRAPHY_CAD_SR: lambda maker, wish: [
        write_mammography_cad_sr(maker.findings, maker.sources, maker.segmentations(wish), maker.identity)
    ],
    kinds.PRESENTATION_STATE: lambda maker, _: write_presentation_states(
        maker.findings, maker.sources, [], maker.identity
    ),
    kinds.SECONDARY_CAPTURE: lambda maker, _: write_secondary_captures(
        maker.findings, maker.sources, [], maker.identity, maker.view
    ),
    kinds.MEASUREMENT_REPORT: partial(_measurement_report, comprehensive=False),
    kinds.KEY_OBJECT_SELECTION: _key_object_selection,
    kinds.COMPREHENSIVE_SR: partial(_measurement_report, comprehensive=True),
}
_OF_ONE_IMAGE = frozenset({*_SEGMENTATION_TYPES, kinds.PARAMETRIC_MAP, kinds.PRESENTATION_STATE})


def _identifiers(dataset: Dataset) -> Dataset:
    identifiers = Dataset()
    for keyword in _IDENTIFIERS:
        if keyword in dataset:
            setattr(identifiers, keyword, dataset[keyword].value)
    return identifiers


def _readable(source: Dataset) -> bool:
    return "PixelData" in source or bool(getattr(source, "filename", None))
