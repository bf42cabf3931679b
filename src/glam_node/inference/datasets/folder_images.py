"""The DICOM images under a folder, with the values of their headers, each read at most once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from glam_node.inference.datasets.images import read_header
from glam_node.inference.datasets.problems import Problems
from glam_node.inference.datasets.tables import Row
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.view import describe_view

_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ""})


@dataclass(frozen=True, slots=True)
class FolderImage:
    """One file; values that its header lacks are empty."""

    path: Path
    sop_instance_uid: str
    study_instance_uid: str
    image_laterality: str
    view_position: str


class FolderImages:
    """Images under `folder`, found by the values of a table row; a row without an image is a problem."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, FolderImage | None] = {}
        self._patients: dict[Path, str] = {}

    def at_path(self, row: Row, problems: Problems) -> Sequence[FolderImage]:
        """Return the image at the row's path, relative to the folder."""
        named = self._folder / row.get("path")
        if not row.get("path") or not named.is_file():
            problems.add(row.number, "path", "there is no such file")
            return ()
        image = self._image(named)
        if image is None:
            problems.add(row.number, "path", "the file is not a readable DICOM file")
        return (image,) if image else ()

    def with_uid(self, row: Row, problems: Problems) -> Sequence[FolderImage]:
        """Return the image with the row's SOP Instance UID."""
        image = self._by_uid.get(row.get("sop_instance_uid"))
        if image is None:
            problems.add(row.number, "sop_instance_uid", "no file under the folder has it")
        return (image,) if image else ()

    def of_breast(self, row: Row, problems: Problems) -> Sequence[FolderImage]:
        """Return the screening views of the row's breast, or the one that the row names."""
        laterality, view_position = row.get("image_laterality").upper()[:1], row.get("view_position").upper()
        found = [
            image
            for image in self._by_study.get(row.get("study_instance_uid"), ())
            if image.image_laterality == laterality
            and image.view_position in ((view_position,) if view_position else ("CC", "MLO"))
        ]
        if not found:
            problems.add(row.number, "study_instance_uid", "no CC or MLO view of this breast is under the folder")
        return found

    def patient_keys(self) -> dict[Path, str]:
        """Return the smallest Study Instance UID of the patient, for each image read so far that has a Patient ID."""
        smallest: dict[str, str] = {}
        for path, patient in self._patients.items():
            image = self._read[path]
            if image is not None:
                uid = image.study_instance_uid
                smallest[patient] = min(smallest.get(patient, uid), uid)
        return {path: smallest[patient] for path, patient in self._patients.items() if patient in smallest}

    @cached_property
    def _all(self) -> list[FolderImage]:
        files = (file for file in sorted(self._folder.rglob("*")) if file.suffix.lower() in _SUFFIXES)
        images = (self._image(file) for file in files if file.is_file())
        return [image for image in images if image is not None]

    @cached_property
    def _by_uid(self) -> dict[str, FolderImage]:
        return {image.sop_instance_uid: image for image in reversed(self._all)}

    @cached_property
    def _by_study(self) -> dict[str, list[FolderImage]]:
        by_study: dict[str, list[FolderImage]] = defaultdict(list)
        for image in self._by_uid.values():
            by_study[image.study_instance_uid].append(image)
        return by_study

    def _image(self, path: Path) -> FolderImage | None:
        """Return the image with its header's values; None for a file that is not DICOM."""
        if path not in self._read:
            self._read[path] = self._read_image(path)
        return self._read[path]

    def _read_image(self, path: Path) -> FolderImage | None:
        try:
            header = read_header(path)
        except (UnsupportedMammogram, OSError):
            return None
        patient = str(header.get("PatientID") or "").strip()
        if patient:
            self._patients[path] = patient
        said = describe_view(header)
        uids = str(header.get("SOPInstanceUID") or ""), str(header.get("StudyInstanceUID") or "")
        return FolderImage(path, *uids, said.image_laterality, said.view_position)
