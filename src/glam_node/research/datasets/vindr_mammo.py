"""VinDr-Mammo as PhysioNet distributes it (version 1.0.0): BI-RADS per breast, boxes around findings.

Layout: breast-level_annotations.csv, finding_annotations.csv, images/<study_id>/<image_id>.dicom. Listing the views
reads only the two tables. Findings that need no follow-up have no box.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from glam_node.research.datasets.bi_rads import DEFAULT_RULE, BiRadsRule, read_category
from glam_node.research.datasets.images import image_shape, read_header, read_view
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.outlines import Point, box_mask, masks_of
from glam_node.research.datasets.problems import Problems
from glam_node.research.datasets.tables import (
    Row,
    Table,
    read_breast_density,
    read_laterality,
    read_table,
    read_view_position,
)

BREASTS = "breast-level_annotations.csv"
FINDINGS = "finding_annotations.csv"
_BREAST_COLUMNS = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "split")
_BOX_COLUMNS = ("xmin", "ymin", "xmax", "ymax")
_FINDING_COLUMNS = ("image_id", "finding_birads", *_BOX_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Box:
    category: int
    corner: Point
    opposite: Point


def open_vindr_mammo(path: Path, *, rule: BiRadsRule = DEFAULT_RULE) -> ListedDataset:
    """Open VinDr-Mammo in the folder `path`, labelled by `rule` from the assessments of a breast and its findings.

    Masks are filled boxes, larger than the lesions, so overlap with them is not overlap with outlines. Findings
    without an assessment (skin thickening, nipple retraction ...) count as no lesion.
    """
    return ListedDataset("VinDr-Mammo 1.0.0 (labels from BI-RADS, masks are boxes)", partial(_entries, path, rule))


def _entries(path: Path, rule: BiRadsRule) -> Iterator[Entry]:
    boxes = _boxes(read_table(path / FINDINGS, _FINDING_COLUMNS))
    listed = list(_listed(read_table(path / BREASTS, _BREAST_COLUMNS)))
    categories: dict[str, set[int]] = defaultdict(set)
    for view, category in listed:
        categories[view.breast_id] |= {category, *(box.category for box in boxes.get(view.image_id, ()))}
    for view, _ in listed:
        kinds = rule.kinds(categories[view.breast_id])
        image = path / "images" / view.study_id / f"{view.image_id}.dicom"
        yield Entry(
            view.with_kinds(kinds),
            partial(read_view, image, view.image_laterality, view.view_position),
            partial(_masks, image, boxes.get(view.image_id, ()), rule),
        )


def _listed(table: Table) -> Iterator[tuple[LabelledView, int]]:
    """Yield each image, not yet labelled, with the assessment of its breast."""
    problems = Problems(table.name)
    for row in table.rows:
        laterality = read_laterality(row, "laterality", problems)
        view_position = read_view_position(row, "view_position", problems)
        category = read_category(row.get("breast_birads"))
        if category is None:
            problems.add(row.number, "breast_birads", "must be BI-RADS 1 to 6")
        for column in ("study_id", "image_id"):
            if not row.get(column).isalnum():
                problems.add(row.number, column, "must be letters and digits, since it names a file")
        if laterality and view_position and category:
            names = row.get("image_id"), row.get("study_id")
            density = read_breast_density(row, "breast_density")
            view = LabelledView(*names, laterality, view_position, False, False, row.get("split"), "", density)
            yield view, category
    problems.raise_if_any()


def _boxes(table: Table) -> Mapping[str, Sequence[_Box]]:
    """Return the assessed findings of each image."""
    problems = Problems(table.name)
    boxes: dict[str, list[_Box]] = defaultdict(list)
    for row in table.rows:
        category = read_category(row.get("finding_birads"))
        corners = _corners(row, problems)
        if category and corners:
            boxes[row.get("image_id")].append(_Box(category, *corners))
    problems.raise_if_any()
    return dict(boxes)


def _corners(row: Row, problems: Problems) -> tuple[Point, Point] | None:
    """Return two opposite corners; None if the row describes an image without findings."""
    if not any(row.get(column) for column in _BOX_COLUMNS):
        return None
    numbers = []
    for column in _BOX_COLUMNS:
        try:
            numbers.append(float(row.get(column)))
        except ValueError:
            problems.add(row.number, column, "must be a number of pixels")
            return None
    left, top, right, bottom = numbers
    return (left, top), (right, bottom)


def _masks(image: Path, boxes: Sequence[_Box], rule: BiRadsRule) -> Masks | None:
    if not boxes:
        return None
    shape = image_shape(read_header(image))
    return masks_of(
        shape,
        [(kind, box_mask(box.corner, box.opposite, shape)) for box in boxes for kind in rule.kinds({box.category})],
    )
