"""The exam that the simulated modality sends: a phantom exam, or the files of a folder."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_dataset
from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Exam:
    """The DICOM files of an exam."""

    instances: tuple[OutgoingInstance, ...]
    studies: Mapping[str, str]
    """Study Instance UIDs by SOP Instance UID."""
    left_out: tuple[str, ...] = ()
    """Files that cannot be sent, each with the reason."""


def phantom_exam(folder: Path, seed: int, rows: int, columns: int) -> Exam:
    """Write a synthetic four-view exam, with one benign-like and one malignant-like lesion, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    instances: list[OutgoingInstance] = []
    studies: dict[str, str] = {}
    for view in make_exam(seed, rows=rows, columns=columns):
        path = folder / f"{view.dataset.ImageLaterality}-{view.dataset.ViewPosition}.dcm"
        view.dataset.save_as(path, enforce_file_format=True)
        instances.append(_outgoing(view.dataset, path))
        studies[instances[-1].sop_instance_uid] = str(view.dataset.StudyInstanceUID)
    return Exam(tuple(instances), studies)


def read_exam(folder: Path) -> Exam:
    """Return all DICOM objects under `folder`.

    Raises:
        PermanentError: There is no DICOM object.
    """
    instances: list[OutgoingInstance] = []
    studies: dict[str, str] = {}
    left_out: list[str] = []
    for path in files_under(folder):
        try:
            header = read_dataset(path)
            instances.append(_outgoing(header, path))
            studies[instances[-1].sop_instance_uid] = str(header.StudyInstanceUID)
        except (UnsupportedMammogram, OSError, AttributeError, KeyError) as error:
            left_out.append(f"{path}: {error}")
    if not instances:
        raise PermanentError(f"There is no DICOM file in {folder}. Name a folder with MG images in --input.")
    return Exam(tuple(instances), studies, tuple(left_out))


def all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files in `paths`, and the files under the folders in `paths`."""
    for path in paths:
        yield from files_under(path) if path.is_dir() else (path,)


def files_under(folder: Path) -> Iterator[Path]:
    """Return all files under `folder` that may be DICOM objects, sorted and without DICOMDIR files."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "DICOMDIR")


def _outgoing(header: Dataset, path: Path) -> OutgoingInstance:
    meta: pydicom.dataset.FileMetaDataset = header.file_meta
    return OutgoingInstance(
        str(header.SOPClassUID), str(header.SOPInstanceUID), str(meta.TransferSyntaxUID), path.absolute()
    )
