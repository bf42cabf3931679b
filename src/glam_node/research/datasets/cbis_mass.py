"""The mass cases of CBIS-DDSM's training part as pictures of one size, with a table of labels and boxes.

Layout: labels.csv with the columns file, patient, image_laterality, view_position, malignant, benign and boxes; the
pictures beside it, 8-bit JPEG or PNG, squeezed to a square. Boxes are x, y, width and height in pixels of the picture,
several separated by ";". A picture is brought back to the films' mean size, since that of each film is lost: no
pixel spacing is stated. Every film shows a mass; there is no normal one. CBIS-DDSM is CC BY 3.0.

The women of the collection's own test part are not among the pictures, so a hash of the woman divides these into parts.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.reading import UNCHECKED_CC
from glam_node.research.datasets.film import PreparedFilm, prepare_film
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.outlines import box_mask, masks_of
from glam_node.research.datasets.problems import Problems
from glam_node.research.datasets.split import TEST, TRAINING, VALIDATION, split_views
from glam_node.research.datasets.tables import Row, read_laterality, read_table, read_truth, read_view_position

TABLE = "labels.csv"
_COLUMNS = ("file", "patient", "image_laterality", "view_position", "malignant", "benign", "boxes")
FILM_SHAPE = (3000, 1765)
"""Mean Rows and Columns of the films, whose pixels measure 0.08 mm on average."""
FRACTIONS = {TRAINING: 0.65, VALIDATION: 0.15, TEST: 0.2}
_BITS = 8
_SIDES_OF_BOX = 4

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Picture:
    path: Path
    view: LabelledView
    boxes: tuple[_Box, ...]

    @property
    def kinds(self) -> frozenset[FindingKind]:
        """The kinds of mass on this picture, by its own row."""
        stated = {FindingKind.BENIGN: self.view.benign, FindingKind.MALIGNANT: self.view.malignant}
        return frozenset(kind for kind, present in stated.items() if present)


def open_cbis_mass(path: Path) -> ListedDataset:
    """Open the pictures in the folder `path`.

    Both views of a breast have the labels of either. All views of a woman are in one part, by FRACTIONS.
    """
    return ListedDataset("CBIS-DDSM (mass, reduced pictures)", partial(_entries, path))


def _entries(path: Path) -> Iterator[Entry]:
    table = read_table(path / TABLE, _COLUMNS)
    problems = Problems(table.name)
    pictures = [picture for row in table.rows for picture in _pictures(path, row, problems)]
    problems.raise_if_any()
    kinds_of_breast: dict[str, set[FindingKind]] = defaultdict(set)
    for picture in pictures:
        kinds_of_breast[picture.view.breast_id] |= picture.kinds
    parts = split_views([picture.view for picture in pictures], FRACTIONS)
    part_of = {view.study_id: part for part, views in parts.items() for view in views}
    for picture in pictures:
        labelled = picture.view.with_kinds(kinds_of_breast[picture.view.breast_id])
        view = replace(labelled, split=part_of[labelled.study_id])
        yield Entry(view, partial(_read, picture.path, view), partial(_masks, picture))


def _pictures(folder: Path, row: Row, problems: Problems) -> Iterator[_Picture]:
    laterality = read_laterality(row, "image_laterality", problems)
    view_position = read_view_position(row, "view_position", problems)
    benign, malignant = (read_truth(row, column, problems) for column in ("benign", "malignant"))
    path = folder / row.get("file")
    if not path.is_file():
        problems.add(row.number, "file", "there is no such file")
    boxes = _boxes(row, problems)
    if laterality and view_position and benign is not None and malignant is not None:
        patient = row.get("patient")
        yield _Picture(path, LabelledView(path.stem, patient, laterality, view_position, benign, malignant), boxes)


def _boxes(row: Row, problems: Problems) -> tuple[_Box, ...]:
    try:
        boxes = [tuple(map(float, text.split())) for text in row.get("boxes").split(";") if text.strip()]
    except ValueError:
        boxes = [()]
    if any(len(box) != _SIDES_OF_BOX for box in boxes):
        problems.add(row.number, "boxes", "must be x, y, width and height, several separated by ;")
        return ()
    return cast("tuple[_Box, ...]", tuple(boxes))


def _decoded(path: Path) -> NDArray[np.uint8]:
    encoded = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) if encoded.size else None
    if picture is None:
        raise UnsupportedMammogram("The picture is damaged, or of a format that cannot be read.")
    return np.asarray(picture, dtype=np.uint8)


def _film(picture: NDArray[np.uint8], image_laterality: Laterality) -> PreparedFilm:
    film = cv2.resize(picture, FILM_SHAPE[::-1], interpolation=cv2.INTER_LINEAR)
    return prepare_film(np.asarray(film, dtype=np.uint16), image_laterality)


def _read(path: Path, view: LabelledView) -> Mammogram:
    prepared = _film(_decoded(path), view.image_laterality)
    return Mammogram(
        sop_instance_uid=view.image_id,
        image_laterality=view.image_laterality,
        view_position=view.view_position,
        pixels=prepared.pixels,
        imager_pixel_spacing=None,
        patient_orientation=None,
        bits_stored=_BITS,
        remarks=(*prepared.remarks, *((UNCHECKED_CC,) if view.view_position is ViewPosition.CC else ())),
    )


def _masks(picture: _Picture) -> Masks | None:
    """Return the boxes on the part of the film that is kept; None if the row does not say which kind a box shows."""
    if len(picture.kinds) != 1 or not picture.boxes:
        return None
    (kind,) = picture.kinds
    decoded = _decoded(picture.path)
    shape = decoded.shape[0], decoded.shape[1]
    outlined = masks_of(
        shape, [(kind, box_mask((x, y), (x + width, y + height), shape)) for x, y, width, height in picture.boxes]
    )
    if outlined is None:
        return None
    geometry = _film(decoded, picture.view.image_laterality).geometry
    return {
        each: geometry.apply(cv2.resize(mask.view(np.uint8), FILM_SHAPE[::-1], interpolation=cv2.INTER_NEAREST) > 0)
        for each, mask in outlined.items()
    }
