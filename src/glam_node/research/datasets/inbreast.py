"""INbreast, release 1.0 (Moreira et al., Academic Radiology 2012): BI-RADS per image, contours of lesions.

Layout: AllDICOMs/<File Name>_<patient>_MG_<L or R>_<CC or ML>_ANON.dcm, AllXML/<File Name>.xml (OsiriX property
lists), and INbreast.csv with columns Laterality, View, Acquisition date, File Name, Bi-Rads, separated by ";". If your
copy has only INbreast.xls, open it in a spreadsheet and save it as CSV. The release writes MLO as ML in file names; ML
in a header is also read as MLO.
"""

import plistlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.parsers.expat import ExpatError

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import ViewPosition
from glam_node.research.datasets.bi_rads import DEFAULT_RULE, BiRadsRule, read_category
from glam_node.research.datasets.images import image_shape, read_header, read_view
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.outlines import Point, masks_of, polygon_mask
from glam_node.research.datasets.problems import Problems
from glam_node.research.datasets.tables import (
    Row,
    Table,
    read_breast_density,
    read_laterality,
    read_table,
    read_view_position,
)

TABLE = "INbreast.csv"
_COLUMNS = ("Laterality", "View", "Acquisition date", "File Name", "Bi-Rads")
_ADVICE = "If you have only INbreast.xls, open it in a spreadsheet and save it as INbreast.csv."
LESIONS = frozenset({"mass", "cluster", "distortion", "spiculated region", "asymmetry"})
"""Contours that outline a lesion; single calcifications are mostly one point and may lie anywhere."""
_SPELLINGS = {"espiculated region": "spiculated region", "assymetry": "asymmetry"}
_SPELLINGS_OF_VIEWS = {"ML": ViewPosition.MLO}
_POINT = re.compile(r"\(\s*([-+.\deE]+)\s*,\s*([-+.\deE]+)\s*\)")


def open_inbreast(path: Path, *, rule: BiRadsRule = DEFAULT_RULE, lesions: frozenset[str] = LESIONS) -> ListedDataset:
    """Open INbreast in the folder `path`, labelled by `rule` from the assessments of all images of a breast.

    Contours named in `lesions` (lower case) become masks of the kind that their image's assessment counts as, since
    the release does not assess single lesions. An image that is normal by the rule has no masks.
    """
    return ListedDataset("INbreast 1.0 (labels from BI-RADS)", partial(_entries, path, rule, lesions))


def _entries(path: Path, rule: BiRadsRule, lesions: frozenset[str]) -> Iterator[Entry]:
    table = read_table(path / TABLE, _COLUMNS, _ADVICE)
    listed = list(_listed(table, _images(path)))
    categories: dict[str, set[int]] = defaultdict(set)
    for view, _, category in listed:
        categories[view.breast_id].add(category)
    for view, image, category in listed:
        kinds = rule.kinds(categories[view.breast_id])
        contours = path / "AllXML" / f"{view.image_id}.xml"
        yield Entry(
            view.with_kinds(kinds),
            partial(read_view, image, view.image_laterality, view.view_position, _SPELLINGS_OF_VIEWS),
            partial(_masks, image, contours, rule.kinds({category}), lesions),
        )


def _images(path: Path) -> Mapping[str, Path]:
    """Return the DICOM file of each File Name."""
    return {image.name.partition("_")[0]: image for image in sorted((path / "AllDICOMs").glob("*_*.dcm"))}


def _listed(table: Table, images: Mapping[str, Path]) -> Iterator[tuple[LabelledView, Path, int]]:
    """Yield each image, not yet labelled, with its file and its assessment."""
    problems = Problems(table.name)
    for row in table.rows:
        if not row.get("File Name"):
            continue
        laterality = read_laterality(row, "Laterality", problems)
        view_position = read_view_position(row, "View", problems)
        category = read_category(row.get("Bi-Rads"))
        image = images.get(_file_name(row))
        if category is None:
            problems.add(row.number, "Bi-Rads", "must be 1 to 6, perhaps with a letter (4a)")
        if image is None:
            problems.add(row.number, "File Name", "AllDICOMs has no such file")
        if laterality and view_position and category and image:
            patient = image.name.split("_")[1]
            study = f"{patient}-{row.get('Acquisition date')}"
            unlabelled = LabelledView(
                _file_name(row),
                study,
                laterality,
                view_position,
                benign=False,
                malignant=False,
                patient_key=patient,
                breast_density=read_breast_density(row, "ACR"),
            )
            yield unlabelled, image, category
    problems.raise_if_any()


def _file_name(row: Row) -> str:
    """Return the File Name, which spreadsheets sometimes write as 22678622.0."""
    return row.get("File Name").partition(".")[0]


def _masks(image: Path, contours: Path, kinds: frozenset[FindingKind], lesions: frozenset[str]) -> Masks | None:
    if not kinds or not contours.exists():
        return None
    shape = image_shape(read_header(image))
    polygons = [points for name, points in _contours(contours) if name in lesions and points]
    return masks_of(shape, [(kind, polygon_mask(points, shape)) for points in polygons for kind in kinds])


def _contours(path: Path) -> list[tuple[str, Sequence[Point]]]:
    """Return name (lower case) and points of each region of interest."""
    try:
        images = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)["Images"]
        return [
            (_name(str(region["Name"])), [_point(text) for text in region["Point_px"]])
            for image in images
            for region in image["ROIs"]
        ]
    except (ExpatError, plistlib.InvalidFileException, KeyError, TypeError, ValueError) as error:
        raise UnsupportedMammogram(f"The file of contours is damaged ({type(error).__name__}).") from error


def _name(written: str) -> str:
    name = written.strip().lower()
    return _SPELLINGS.get(name, name)


def _point(text: str) -> Point:
    found = _POINT.fullmatch(text.strip())
    if found is None:
        raise ValueError("a point is not written (column, row)")
    return float(found[1]), float(found[2])
