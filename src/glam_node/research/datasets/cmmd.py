"""CMMD, the Chinese Mammography Database, as TCIA distributes it (version 1, revised clinical data): biopsy labels.

Layout: CMMD_clinicaldata_revision.csv (TCIA has it as .xlsx: open it in a spreadsheet and save it as CSV) with the
columns ID1, LeftRight, classification; images in [manifest-*/]CMMD/<ID1>/.../*.dcm. Only an image's own header states
patient, breast and view, so every header is read once, on the first use of the views. Lesions have no outlines.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.header_facts import describe_view
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.images import collection_folders, dicom_files, read_header, read_view
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.problems import Problems
from glam_node.research.datasets.tables import Table, read_laterality, read_table

TABLE = "CMMD_clinicaldata_revision.csv"
_ADVICE = "If you have only CMMD_clinicaldata_revision.xlsx, open it in a spreadsheet and save it as CSV."
_COLUMNS = ("ID1", "LeftRight", "classification")

_Breast = tuple[str, Laterality]


@dataclass(frozen=True, slots=True)
class _Image:
    path: Path
    sop_instance_uid: str
    breast: _Breast
    view_position: ViewPosition


def open_cmmd(path: Path, *, others_are_normal: bool = False, incomplete: bool = False) -> ListedDataset:
    """Open CMMD in the folder `path`.

    Args:
        path: Folder of the collection.
        others_are_normal: Whether breasts that the table does not name count as normal. The table names the breasts
            that had a biopsy; the others are left out by default, since nothing states that they are healthy.
        incomplete: Whether to leave out rows without images instead of refusing the data set.
    """
    return ListedDataset("CMMD", partial(_entries, path, others_are_normal, incomplete))


def _entries(path: Path, others_are_normal: bool, incomplete: bool) -> Iterator[Entry]:
    table = read_table(path / TABLE, _COLUMNS, _ADVICE)
    images = list(_images(path))
    breasts = {image.breast for image in images}
    kinds = _kinds(table, None if incomplete else breasts)
    patients = {patient for patient, _ in kinds}
    for image in images:
        patient, laterality = image.breast
        if image.breast in kinds or (others_are_normal and patient in patients):
            found = kinds.get(image.breast, set())
            yield Entry(
                LabelledView(
                    image.sop_instance_uid,
                    patient,
                    laterality,
                    image.view_position,
                    benign=FindingKind.BENIGN in found,
                    malignant=FindingKind.MALIGNANT in found,
                ),
                partial(read_view, image.path, laterality, image.view_position),
            )


def _images(path: Path) -> Iterator[_Image]:
    """Yield every CC and MLO view; other files are ignored."""
    for folder in collection_folders(path, "CMMD"):
        for file in dicom_files(folder):
            try:
                header = read_header(file)
                view = describe_view(header)
                breast = str(header.PatientID).strip(), Laterality(view.image_laterality)
                yield _Image(file, str(header.SOPInstanceUID), breast, ViewPosition(view.view_position))
            except (UnsupportedMammogram, AttributeError, ValueError):
                continue


def _kinds(table: Table, breasts: set[_Breast] | None) -> Mapping[_Breast, set[FindingKind]]:
    """Return the kinds of finding in each breast; rows without images are problems, unless `breasts` is None."""
    problems = Problems(table.name)
    kinds: dict[_Breast, set[FindingKind]] = defaultdict(set)
    for row in table.rows:
        laterality = read_laterality(row, "LeftRight", problems)
        classification = row.get("classification").lower()
        if classification not in set(FindingKind):
            problems.add(row.number, "classification", "must be Benign or Malignant")
        elif laterality:
            breast = row.get("ID1"), laterality
            kinds[breast].add(FindingKind(classification))
            if breasts is not None and breast not in breasts:
                problems.add(row.number, "ID1", "no image of this breast was found")
    problems.raise_if_any()
    return dict(kinds)
