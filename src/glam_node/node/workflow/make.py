"""Makes the DICOM objects of one run, one after the other, from findings and source images."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings
from glam_node.inference.reading import read_dataset
from glam_node.node.errors import PermanentError
from glam_node.node.results import kinds
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.key_object_selection import write_key_object_selection
from glam_node.node.results.mammography_cad_sr import write_mammography_cad_sr
from glam_node.node.results.measurement_report import report_content, write_measurement_report
from glam_node.node.results.parametric_map import write_parametric_maps
from glam_node.node.results.presentation_state import write_presentation_states
from glam_node.node.results.secondary_capture import write_secondary_captures
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP, write_segmentations
from glam_node.node.results.sources import refuse_different_people
from glam_node.node.results.time_zone import state_zone
from glam_node.node.results.view_picture import ReducedView, reduced_view

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
_NAMING = {kinds.SOP_CLASSES[kind] for kind in (kinds.MEASUREMENT_REPORT, kinds.KEY_OBJECT_SELECTION)}


@dataclass(frozen=True)
class _Run:
    findings: Findings
    sources: dict[str, Dataset]
    identity: ResultIdentity
    paths: dict[str, Path]
    made: list[Dataset] = field(default_factory=list)
    """Identifiers of all objects so far."""
    segmentations: list[Dataset] = field(default_factory=list)
    """Those among them that others refer to."""

    @property
    def evidence(self) -> list[Dataset]:
        """What a measurement report names beside images: first of all the segmentations."""
        known = {one.SOPInstanceUID for one in self.segmentations}
        others = [one for one in self.made if one.SOPInstanceUID not in known and one.SOPClassUID not in _NAMING]
        return [*self.segmentations, *others]

    @cached_property
    def report_content(self) -> Dataset:
        """What both classes of measurement report say; asked for when the segmentations are there."""
        return report_content(self.findings, self.sources, self.segmentations, self.identity)


def made_objects(
    findings: Findings, paths: dict[str, Path], identity: ResultIdentity, wanted: AbstractSet[str]
) -> Iterator[tuple[str, Dataset]]:
    """Kind and object, one after the other; `paths` are the source images by SOP Instance UID.

    Raises PermanentError when a source cannot be read any more or the sources are of two people, OSError.
    """
    sources = {uid: read_source(path, uid) for uid, path in paths.items()}
    refuse_different_people(sources.values())
    state_zone(sources.values())
    run = _Run(findings, sources, identity, paths)
    referred = next((kind for kind in _SEGMENTATION_TYPES if kind in wanted), None)
    for kind in kinds.OF_FINDINGS:
        if kind not in wanted:
            continue
        for dataset in _MAKERS[kind](run):
            run.made.append(_identifiers(dataset))
            if kind == referred:
                run.segmentations.append(run.made[-1])
            yield kind, dataset


def _segmentations(kind: str, run: _Run) -> Iterator[Dataset]:
    return write_segmentations(run.findings, run.sources, run.identity, _SEGMENTATION_TYPES[kind])


def _measurement_report(run: _Run, *, comprehensive: bool) -> Iterator[Dataset]:
    yield write_measurement_report(
        run.report_content, run.findings, run.sources, run.evidence, run.identity, comprehensive=comprehensive
    )


def _key_object_selection(run: _Run) -> Iterator[Dataset]:
    selection = write_key_object_selection(run.findings, run.sources, list(run.made), run.identity)
    yield from [selection] if selection is not None else []


_MAKERS: Mapping[str, Callable[[_Run], Iterable[Dataset]]] = {
    **{kind: partial(_segmentations, kind) for kind in _SEGMENTATION_TYPES},
    kinds.PARAMETRIC_MAP: lambda run: write_parametric_maps(run.findings, run.sources, run.identity),
    kinds.MAMMOGRAPHY_CAD_SR: lambda run: [
        write_mammography_cad_sr(run.findings, run.sources, run.segmentations, run.identity)
    ],
    kinds.PRESENTATION_STATE: lambda run: write_presentation_states(
        run.findings, run.sources, run.segmentations, run.identity
    ),
    kinds.SECONDARY_CAPTURE: lambda run: write_secondary_captures(
        run.findings, run.sources, run.segmentations, run.identity, partial(_view, run.paths)
    ),
    kinds.MEASUREMENT_REPORT: partial(_measurement_report, comprehensive=False),
    kinds.KEY_OBJECT_SELECTION: _key_object_selection,
    kinds.COMPREHENSIVE_SR: partial(_measurement_report, comprehensive=True),
}


def _identifiers(dataset: Dataset) -> Dataset:
    identifiers = Dataset()
    for keyword in _IDENTIFIERS:
        if keyword in dataset:
            setattr(identifiers, keyword, dataset[keyword].value)
    return identifiers


def _view(paths: dict[str, Path], sop_instance_uid: str, height: int) -> ReducedView:
    try:
        return reduced_view(read_dataset(paths[sop_instance_uid]), height)
    except UnsupportedMammogram as error:
        raise _unreadable(sop_instance_uid, error) from error


def read_source(path: Path, sop_instance_uid: str) -> Dataset:
    """What a source image says before its pixels. Raises PermanentError when it cannot be read, OSError."""
    # pydicom warns with the offending value, which may be a name, and says it in what it raises.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True)
        except OSError:
            raise
        except Exception as error:
            raise _unreadable(sop_instance_uid, error) from error


def _unreadable(sop_instance_uid: str, error: Exception) -> PermanentError:
    return PermanentError(f"Image {sop_instance_uid} cannot be read any more ({type(error).__name__}). Send it again.")
