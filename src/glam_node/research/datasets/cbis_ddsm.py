"""CBIS-DDSM as TCIA distributes it (version of 2017-09-14): digitised films, pathology and a mask per lesion.

Layout: mass_case_description_train_set.csv, ..._test_set.csv and the same for calc next to the images (or in a folder
"csv"); images in [manifest-*/]CBIS-DDSM/<case>/.../*.dcm. Of a path in the tables only the case folder
(Mass-Training_P_00001_LEFT_CC) is used: the folders below it and the file names depend on the tool that downloaded the
images, and the columns of masks and cropped images are swapped in many rows. Size distinguishes masks from crops.
The films are secondary capture without mammography attributes: laterality and view come from the tables. Borders and
labels are cut off, and films that were stored mirrored are mirrored back (`film`).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from glam_node.inference.decoding import stored_values
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.reading import read_dataset
from glam_node.research.datasets.images import (
    collection_folders,
    dicom_files,
    image_shape,
    masks_on_film,
    read_header,
    read_view,
)
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.outlines import Mask, masks_of
from glam_node.research.datasets.problems import DatasetError, Problems
from glam_node.research.datasets.split import TEST, TRAINING
from glam_node.research.datasets.tables import (
    Row,
    Table,
    read_breast_density,
    read_laterality,
    read_table,
    read_view_position,
)

ABNORMALITIES = ("mass", "calc")
_PARTS = {"train": TRAINING, "test": TEST}
_IMAGE, _MASK = "image file path", "ROI mask file path"
_COLUMNS = ("patient_id", "left or right breast", "image view", "pathology", _IMAGE, _MASK)
WITHOUT_CALLBACK = "BENIGN_WITHOUT_CALLBACK"
_KIND_OF_PATHOLOGY = {
    "BENIGN": FindingKind.BENIGN,
    WITHOUT_CALLBACK: FindingKind.BENIGN,
    "MALIGNANT": FindingKind.MALIGNANT,
}
# Largest difference in size between mask and film: a few masks were drawn on another scan of the same film.
_LARGEST_MISMATCH = 0.05


@dataclass(frozen=True, slots=True)
class _Lesion:
    patient: str
    image_laterality: Laterality
    view_position: ViewPosition
    kind: FindingKind | None
    part: str
    image: Path
    outline: Path
    breast_density: str


def open_cbis_ddsm(
    path: Path,
    *,
    abnormalities: Collection[str] = ABNORMALITIES,
    without_callback_is_benign: bool = True,
    incomplete: bool = False,
) -> ListedDataset:
    """Open CBIS-DDSM in the folder `path`.

    Rows about the same film (masses and calcifications have separate tables) form one view. The train and test sets of
    the two tables were drawn separately, so all films of a patient in either test set are in "test".

    Args:
        path: Folder of the collection.
        abnormalities: The tables to use.
        without_callback_is_benign: Whether lesions that were benign without callback count as benign or as no lesions.
        incomplete: Whether to leave out rows whose images are missing instead of refusing the data set.
    """
    return ListedDataset(
        f"CBIS-DDSM ({', '.join(abnormalities)})",
        partial(_entries, path, tuple(abnormalities), without_callback_is_benign, incomplete),
    )


def _entries(
    path: Path, abnormalities: tuple[str, ...], without_callback_is_benign: bool, incomplete: bool
) -> Iterator[Entry]:
    cases = {case.name: case for folder in collection_folders(path, "CBIS-DDSM") for case in folder.iterdir()}
    kinds = dict[str, FindingKind | None](_KIND_OF_PATHOLOGY)
    if not without_callback_is_benign:
        kinds[WITHOUT_CALLBACK] = None
    lesions = [
        lesion
        for table, part in _tables(path, abnormalities)
        for lesion in _lesions(table, part, cases, kinds, incomplete)
    ]
    kinds_of_breast: dict[tuple[str, Laterality], set[FindingKind | None]] = defaultdict(set)
    films: dict[tuple[str, Laterality, ViewPosition], list[_Lesion]] = defaultdict(list)
    for lesion in lesions:
        kinds_of_breast[lesion.patient, lesion.image_laterality].add(lesion.kind)
        films[lesion.patient, lesion.image_laterality, lesion.view_position].append(lesion)
    tested = {lesion.patient for lesion in lesions if lesion.part == TEST}
    for (patient, laterality, view_position), of_film in films.items():
        found = kinds_of_breast[patient, laterality]
        yield Entry(
            LabelledView(
                f"{patient}-{laterality}-{view_position}",
                patient,
                laterality,
                view_position,
                benign=FindingKind.BENIGN in found,
                malignant=FindingKind.MALIGNANT in found,
                split=TEST if patient in tested else TRAINING,
                breast_density=of_film[0].breast_density,
            ),
            partial(_read, of_film[0].image, laterality, view_position),
            partial(_masks, of_film[0].image, laterality, [(each.kind, each.outline) for each in of_film if each.kind]),
        )


def _tables(path: Path, abnormalities: Sequence[str]) -> Iterator[tuple[Table, str]]:
    """Yield each table in the folder with the part of the data set that it describes."""
    names = {f"{each}_case_description_{word}_set.csv": part for each in abnormalities for word, part in _PARTS.items()}
    files = {folder / name: part for folder in (path, path / "csv") for name, part in names.items()}
    present = {file: part for file, part in files.items() if file.is_file()}
    if not present:
        raise DatasetError(f"None of CBIS-DDSM's tables ({', '.join(names)}) is in this folder or its folder csv.")
    return ((read_table(file, _COLUMNS), part) for file, part in present.items())


def _lesions(
    table: Table, part: str, cases: Mapping[str, Path], kinds: Mapping[str, FindingKind | None], incomplete: bool
) -> Iterator[_Lesion]:
    problems = Problems(table.name)
    for row in table.rows:
        laterality = read_laterality(row, "left or right breast", problems)
        view_position = read_view_position(row, "image view", problems)
        folders = [cases.get(_case(row, column)) for column in (_IMAGE, _MASK)]
        pathology = row.get("pathology").upper()
        if pathology not in kinds:
            problems.add(row.number, "pathology", f"must be one of {', '.join(kinds)}")
        for column, folder in zip((_IMAGE, _MASK), folders, strict=True):
            if folder is None and not incomplete:
                problems.add(row.number, column, "its case folder is not among the images")
        image, outline = folders
        if laterality and view_position and pathology in kinds and image and outline:
            patient, density = row.get("patient_id"), read_breast_density(row, "breast_density")
            yield _Lesion(patient, laterality, view_position, kinds[pathology], part, image, outline, density)
    problems.raise_if_any()


def _case(row: Row, column: str) -> str:
    """Return the first folder of a path, which may have either slash and a line break at its end."""
    return re.split(r"[/\\]", row.get(column))[0].strip()


def _film(case: Path) -> Path:
    """Return the only DICOM file of a case folder."""
    files = list(dicom_files(case))
    if len(files) != 1:
        raise UnsupportedMammogram(f"The case folder has {len(files)} DICOM files where one film should be.")
    return files[0]


def _read(case: Path, image_laterality: Laterality, view_position: ViewPosition) -> Mammogram:
    return read_view(_film(case), image_laterality, view_position, film=True)


def _masks(case: Path, image_laterality: Laterality, outlines: Sequence[tuple[FindingKind, Path]]) -> Masks | None:
    """Return the outlines on the part of the film that is kept; they are mirrored back as the film is."""
    if not outlines:
        return None
    film = _film(case)
    shape = image_shape(read_header(film))
    whole = masks_of(shape, [(kind, _mask(folder, shape)) for kind, folder in outlines])
    return masks_on_film(whole, film, image_laterality)


def _mask(folder: Path, shape: tuple[int, int]) -> Mask:
    """Return the mask among a lesion's files; it is as large as the film, while the cropped image is smaller."""
    sizes = {file: image_shape(read_header(file)) for file in dicom_files(folder)}
    fitting = [file for file, size in sizes.items() if _mismatch(size, shape) <= _LARGEST_MISMATCH]
    if not fitting:
        raise UnsupportedMammogram(f"The lesion has no mask of about {shape[0]} x {shape[1]} pixels.")
    best = min(fitting, key=lambda file: _mismatch(sizes[file], shape))
    outlined = (stored_values(read_dataset(best)) != 0).astype(np.uint8)
    return np.asarray(cv2.resize(outlined, shape[::-1], interpolation=cv2.INTER_NEAREST), dtype=np.bool_)


def _mismatch(size: tuple[int, int], shape: tuple[int, int]) -> float:
    return max(abs(one / other - 1) for one, other in zip(size, shape, strict=True))
