"""A folder of DICOM files with a CSV table of labels, the layout for your own data.

The table (labels.csv in the folder, any usual delimiter) has the columns

- `path` of an image (relative to the folder), or `sop_instance_uid`, or `study_instance_uid` with `image_laterality`,
  and optionally `view_position`: then the row applies to every image of that breast;
- `benign`, `malignant`: 0 or 1 (or yes, no, true, false), the same for all views of a breast;
- `split` (optional): the part, "training", "validation" or "test";
- `image_laterality`, `view_position` (optional): values that the images' own headers lack;
- `breast_density` (optional): A to D, or 1 to 4, for measures of each density;
- `benign_mask`, `malignant_mask` (optional): path, relative to the folder, of a PNG file, DICOM image or DICOM
  segmentation on the image's grid, with non-zero pixels in the lesions.

Each header is read once, on the first use of the views. Digitised film is prepared as such
if its header says what it is, or with the option `film`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.header_facts import describe_view
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.kinds.predicates import is_film
from glam_node.research.datasets.images import image_shape, masks_on_film, read_header, read_view
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.outlines import masks_of, read_mask
from glam_node.research.datasets.problems import DatasetError, Problems, RowProblem
from glam_node.research.datasets.tables import (
    Row,
    Table,
    read_breast_density,
    read_laterality,
    read_table,
    read_truth,
    read_view_position,
)

_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ""})


@dataclass(frozen=True, slots=True)
class FolderImage:
    """One file; values that its header lacks are empty."""

    path: Path
    sop_instance_uid: str
    study_instance_uid: str
    image_laterality: str
    view_position: str
    film: bool = False
    """Whether the header says that the image is digitised film."""


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
        return FolderImage(path, *uids, said.image_laterality, said.view_position, is_film(said))


LABELS = "labels.csv"
_MASK_COLUMNS = {kind: f"{kind}_mask" for kind in FindingKind}

_Find = Callable[[Row, Problems], Sequence[FolderImage]]
_Outlines = Sequence[tuple[FindingKind, Path]]

Value = TypeVar("Value", Laterality, ViewPosition)


@dataclass(frozen=True, slots=True)
class _Labelled:
    row: int
    image: FolderImage
    view: LabelledView
    outlines: _Outlines


def open_folder(path: Path, *, labels: str = LABELS, film: bool = False) -> ListedDataset:
    """Open the images under `path` that the table `labels` (relative to `path`) describes.

    Image and study ids are the UIDs of the headers; studies of one patient have the same patient_key.

    Args:
        path: The folder.
        labels: The table.
        film: Whether the images are digitised film: borders, labels and background are removed, and the picture decides
            which way the breast points (`glam_node.research.datasets.film`).
    """
    return ListedDataset("a folder of DICOM files", partial(_entries, path, labels, film))


def _entries(path: Path, labels: str, film: bool) -> Iterator[Entry]:
    table = read_table(path / labels, ("benign", "malignant"))
    images = FolderImages(path)
    find = _finder(table, images)
    problems = Problems(table.name)
    labelled = [each for row in table.rows for each in _read_row(row, path, find(row, problems), problems)]
    _check_consistency(labelled, problems)
    problems.raise_if_any()
    patient_keys = images.patient_keys()
    for each in labelled:
        view = replace(each.view, patient_key=patient_keys.get(each.image.path, ""))
        is_of_film = film or each.image.film
        yield Entry(
            view,
            partial(read_view, each.image.path, view.image_laterality, view.view_position, film=is_of_film),
            partial(_masks, each.image.path, view.image_laterality, each.outlines, film=is_of_film),
        )


def _finder(table: Table, images: FolderImages) -> _Find:
    """Return the function that finds the images of a row, by the columns that the table has."""
    for columns, find in (
        (("path",), images.at_path),
        (("sop_instance_uid",), images.with_uid),
        (("study_instance_uid", "image_laterality"), images.of_breast),
    ):
        if all(map(table.has, columns)):
            return find
    wanted = "path, or sop_instance_uid, or study_instance_uid and image_laterality"
    raise DatasetError(f"{table.name} cannot be used, it lacks columns:", [RowProblem(0, wanted, "missing")])


def _read_row(row: Row, folder: Path, images: Sequence[FolderImage], problems: Problems) -> Iterator[_Labelled]:
    benign, malignant = (read_truth(row, column, problems) for column in ("benign", "malignant"))
    outlines = list(_outlines(row, folder, problems))
    if outlines and len(images) > 1:
        column = _MASK_COLUMNS[outlines[0][0]]
        problems.add(row.number, column, f"the row describes {len(images)} images, but a mask belongs to one")
    for image in images:
        laterality = _known(row, "image_laterality", image.image_laterality, read_laterality, problems)
        view_position = _known(row, "view_position", image.view_position, read_view_position, problems)
        if not image.study_instance_uid or not image.sop_instance_uid:
            problems.add(row.number, "", "the image has no Study Instance UID or no SOP Instance UID")
        elif laterality and view_position and benign is not None and malignant is not None:
            ids = image.sop_instance_uid, image.study_instance_uid
            density = read_breast_density(row, "breast_density")
            view = LabelledView(*ids, laterality, view_position, benign, malignant, row.get("split"), "", density)
            yield _Labelled(row.number, image, view, outlines)


def _known(
    row: Row,
    column: str,
    in_header: str,
    read: Callable[[Row, str, Problems], Value | None],
    problems: Problems,
) -> Value | None:
    """Return the value of the column, or the header's value if the column is empty."""
    if not row.get(column) and not in_header:
        problems.add(row.number, column, "neither the table nor the image's header says it")
        return None
    return read(row if row.get(column) else Row(row.number, {column: in_header}), column, problems)


def _outlines(row: Row, folder: Path, problems: Problems) -> Iterator[tuple[FindingKind, Path]]:
    for kind, column in _MASK_COLUMNS.items():
        if row.get(column):
            path = folder / row.get(column)
            if path.is_file():
                yield kind, path
            else:
                problems.add(row.number, column, "there is no such file")


def _check_consistency(labelled: Sequence[_Labelled], problems: Problems) -> None:
    """Record images in two rows and differing labels of a breast's views as problems."""
    row_of_image: dict[str, int] = {}
    first_of_breast: dict[str, _Labelled] = {}
    for each in labelled:
        earlier = row_of_image.setdefault(each.view.image_id, each.row)
        first = first_of_breast.setdefault(each.view.breast_id, each)
        if earlier != each.row:
            problems.add(each.row, "", f"describes the same image as row {earlier}")
        elif first.view.labels != each.view.labels:
            problems.add(each.row, "", f"has other labels than row {first.row}, which describes the same breast")


def _masks(image: Path, image_laterality: Laterality, outlines: _Outlines, *, film: bool) -> Masks | None:
    if not outlines:
        return None
    shape = image_shape(read_header(image))
    whole = masks_of(shape, [(kind, read_mask(path, shape)) for kind, path in outlines])
    return masks_on_film(whole, image, image_laterality) if film else whole
