"""Makes DICOM objects of findings; on disk they follow from stored findings and source images alone."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import AlgorithmIdentification, Findings
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study
from glam_node.node.errors import PermanentError
from glam_node.node.results import kinds
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.key_object_selection import write_key_object_selection
from glam_node.node.results.mammography_cad_sr import write_mammography_cad_sr
from glam_node.node.results.measurement_report import write_measurement_report
from glam_node.node.results.not_analysed_report import Notice, write_not_analysed_report
from glam_node.node.results.parametric_map import write_parametric_maps
from glam_node.node.results.presentation_state import write_presentation_states
from glam_node.node.results.secondary_capture import write_secondary_captures
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP, write_segmentations
from glam_node.node.storage.files import write_durably
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.predecessors import name_predecessor

SEGMENTATION_TYPES = {
    kinds.SEGMENTATION: BINARY,
    kinds.FRACTIONAL_SEGMENTATION: FRACTIONAL,
    kinds.LABELMAP_SEGMENTATION: LABELMAP,
}

# What a selection of key objects needs to refer to a result.
_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Rows", "Columns")


@dataclass(frozen=True, slots=True)
class Result:
    """One object on disk."""

    kind: str
    """One of results.kinds.SOP_CLASSES, as in destinations.NAME.results."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the storage root."""


def write_results(
    findings: Findings,
    instances: Sequence[SOPInstance],
    identity: ResultIdentity,
    store: InstanceStore,
    wanted: AbstractSet[str],
    earlier: Mapping[str, str],
) -> list[Result]:
    """The objects of the kinds in `wanted`, durably on disk; one that is there already is left as it is.

    What refers to another comes after it. A report names the one in `earlier` (paths by SOP class). Raises
    PermanentError when a source cannot be read any more, OSError.
    """
    paths = {instance.sop_instance_uid: store.resolve(instance.path) for instance in instances}
    files = {sop_class: store.resolve(path) for sop_class, path in earlier.items()}
    results = []
    for kind, dataset in made_objects(findings, paths, identity, wanted):
        name_predecessor(dataset, files)
        results.append(_keep(kind, dataset, store))
    return results


def made_objects(
    findings: Findings, paths: dict[str, Path], identity: ResultIdentity, wanted: AbstractSet[str]
) -> Iterator[tuple[str, Dataset]]:
    """Kind and object, one after the other; `paths` are the source images by SOP Instance UID."""
    sources = {uid: read_source(path, uid) for uid, path in paths.items()}
    by_kind = {
        kind: write_segmentations(findings, sources, identity, segmentation_type)
        for kind, segmentation_type in SEGMENTATION_TYPES.items()
        if kind in wanted
    }
    segmentations = [one for objects in by_kind.values() for one in objects]
    others: list[Dataset] = []
    for kind in kinds.OF_FINDINGS:
        if kind not in wanted:
            continue
        for dataset in by_kind.get(kind) or _made(kind, findings, sources, segmentations, others, identity, paths):
            others.append(_identifiers(dataset))
            yield kind, dataset


def write_notice(
    notice: Notice, study: Study, algorithm: AlgorithmIdentification, identity: ResultIdentity, store: InstanceStore
) -> list[Result]:
    """The report that says so, durably on disk; none for a study that has no image. Raises as `write_results` does."""
    sources = [read_source(store.resolve(one.path), one.sop_instance_uid) for one in study.one_image_per_series()]
    if not sources:
        return []
    return [_keep(kinds.NOT_ANALYSED_REPORT, write_not_analysed_report(notice, sources, algorithm, identity), store)]


def _made(
    kind: str,
    findings: Findings,
    sources: dict[str, Dataset],
    segmentations: list[Dataset],
    others: list[Dataset],
    identity: ResultIdentity,
    paths: dict[str, Path],
) -> Iterator[Dataset]:
    if kind == kinds.PARAMETRIC_MAP:
        yield from write_parametric_maps(findings, sources, identity)
    elif kind == kinds.MEASUREMENT_REPORT:
        yield write_measurement_report(findings, sources, segmentations, identity)
    elif kind == kinds.COMPREHENSIVE_SR:
        yield write_measurement_report(findings, sources, segmentations, identity, comprehensive=True)
    elif kind == kinds.MAMMOGRAPHY_CAD_SR:
        yield write_mammography_cad_sr(findings, sources, segmentations, identity)
    elif kind == kinds.PRESENTATION_STATE:
        yield from write_presentation_states(findings, sources, segmentations, identity)
    elif kind == kinds.SECONDARY_CAPTURE:
        yield from write_secondary_captures(findings, sources, segmentations, identity, partial(_pixels, paths))
    elif kind == kinds.KEY_OBJECT_SELECTION:
        selection = write_key_object_selection(findings, sources, list(others), identity)
        yield from [selection] if selection is not None else []


def _identifiers(dataset: Dataset) -> Dataset:
    identifiers = Dataset()
    for keyword in _IDENTIFIERS:
        if keyword in dataset:
            setattr(identifiers, keyword, dataset[keyword].value)
    return identifiers


def _pixels(paths: dict[str, Path], sop_instance_uid: str) -> NDArray[np.uint16]:
    try:
        return read_mammogram(read_dataset(paths[sop_instance_uid])).pixels
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


def _keep(kind: str, dataset: Dataset, store: InstanceStore) -> Result:
    uid = str(dataset.SOPInstanceUID)
    relative = f"results/{dataset.StudyInstanceUID}/{uid}.dcm"
    path = store.resolve(relative)
    if not path.exists():
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        write_durably(path, buffer.getvalue())
    return Result(kind, str(dataset.SOPClassUID), uid, str(dataset.file_meta.TransferSyntaxUID), relative)
