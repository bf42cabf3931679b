"""Tests that no error of a data set names a patient, whatever is wrong with it."""

import json
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glam_node.inference.errors import InferenceError
from glam_node.research.datasets import cmmd, inbreast
from glam_node.research.datasets.images import read_header
from glam_node.research.datasets.labelled import LabelledDataset
from glam_node.research.datasets.open import open_dataset
from tests.unit.research.datasets.imitated import CMMD_ROW, INBREAST_ROW, MASS_TRAIN, cbis_row, vindr_mammo
from tests.unit.research.datasets.tiny import (
    PATIENT_ID,
    PATIENT_NAME,
    add_illegal,
    film,
    mammogram,
    square,
    write,
    write_csv,
    write_png,
)

NAMES = [*PATIENT_NAME.lower().split("^"), PATIENT_ID.lower()]
CASE = f"Mass-Training_{PATIENT_ID}_LEFT_CC"
Row = dict[str, str]


def folder(root: Path, **changes: str) -> LabelledDataset:
    write(root / PATIENT_NAME / f"{PATIENT_ID}.dcm", mammogram("L", "CC"))
    row = {"path": f"{PATIENT_NAME}/{PATIENT_ID}.dcm", "benign": "0", "malignant": "1", "malignant_mask": ""}
    write_csv(root / "labels.csv", [row | changes])
    return open_dataset("folder", root)


def cbis(root: Path, **changes: str) -> LabelledDataset:
    write(root / "CBIS-DDSM" / CASE / "1-1.dcm", film())
    write(root / "CBIS-DDSM" / f"{CASE}_1" / "1-1.dcm", film((8, 8)))
    row = cbis_row(CASE) | {"patient_id": PATIENT_ID}
    write_csv(root / MASS_TRAIN, [row | changes])
    return open_dataset("cbis-ddsm", root)


def inbreast_release(root: Path, **changes: str) -> LabelledDataset:
    write(root / "AllDICOMs" / f"22678646_{PATIENT_ID}_MG_L_CC_ANON.dcm", mammogram("R", "CC"))
    write_csv(root / inbreast.TABLE, [INBREAST_ROW | {"Patient ID": PATIENT_ID} | changes], ";")
    return open_dataset("inbreast", root)


def vindr(root: Path, **changes: str) -> LabelledDataset:
    study = "".join(filter(str.isalnum, PATIENT_ID))
    write(root / "images" / study / "cc01.dicom", mammogram("R", "CC"))
    vindr_mammo(root, [{"study_id": study} | changes], [{}])
    return open_dataset("vindr-mammo", root)


def cmmd_collection(root: Path, **changes: str) -> LabelledDataset:
    write(root / "CMMD" / PATIENT_ID / "1-1.dcm", mammogram("R", "CC"))
    write_csv(root / cmmd.TABLE, [CMMD_ROW | {"ID1": PATIENT_ID} | changes])
    return open_dataset("cmmd", root)


def nyu(root: Path, **changes: str) -> LabelledDataset:
    labels = {"left_malignant": 1, "right_malignant": 0}
    exam = {"L-CC": [PATIENT_ID], "L-CC_benign_seg": [PATIENT_NAME], "horizontal_flip": "NO", "cancer_label": labels}
    write_png(root / "images" / f"{PATIENT_ID}.png", square(1, 1).astype("uint16"))
    (root / "exams.json").write_text(json.dumps([exam | changes]))
    return open_dataset("nyu", root / "exams.json")


def errors_of(dataset: LabelledDataset, spoil: Callable[[], object]) -> Iterator[InferenceError]:
    """Yield every error from listing to reading; `spoil` damages files in between."""
    try:
        views = dataset.views
    except InferenceError as error:
        yield error
        return
    spoil()
    for view in views:
        for read in (dataset.read, dataset.masks):
            try:
                read(view)
            except InferenceError as error:
                yield error


BAD_ROWS: list[tuple[Callable[..., LabelledDataset], Row]] = [
    (folder, {"path": f"{PATIENT_NAME}.dcm"}),
    (folder, {"benign": PATIENT_NAME}),
    (folder, {"malignant_mask": f"{PATIENT_ID}.png"}),
    (cbis, {"pathology": PATIENT_NAME}),
    (cbis, {"image file path": f"{PATIENT_NAME}/1-1.dcm"}),
    (inbreast_release, {"Bi-Rads": PATIENT_NAME}),
    (inbreast_release, {"File Name": PATIENT_ID}),
    (vindr, {"study_id": PATIENT_NAME}),
    (vindr, {"breast_birads": PATIENT_NAME}),
    (cmmd_collection, {"LeftRight": PATIENT_NAME}),
    (cmmd_collection, {"ID1": f"{PATIENT_ID}-2"}),
    (nyu, {"horizontal_flip": PATIENT_NAME}),
    (nyu, {"R-CC": PATIENT_NAME}),
]


@pytest.mark.parametrize(("build", "changes"), BAD_ROWS)
def test_errors_about_bad_rows_contain_no_names(
    tmp_path: Path, build: Callable[..., LabelledDataset], changes: Row
) -> None:
    errors = list(errors_of(build(tmp_path, **changes), lambda: None))
    assert errors
    assert not [name for error in errors for name in NAMES if name in whole_story(error)]


@pytest.mark.parametrize("build", [folder, cbis, inbreast_release, vindr, cmmd_collection, nyu])
@pytest.mark.parametrize("damage", ["gone", "emptied", "cut short"])
def test_errors_about_damaged_images_contain_no_names(
    tmp_path: Path, build: Callable[..., LabelledDataset], damage: str
) -> None:
    def spoil() -> None:
        for file in [*tmp_path.rglob("*.dcm"), *tmp_path.rglob("*.dicom"), *tmp_path.rglob("*.png")]:
            if damage == "gone":
                shutil.rmtree(file.parent, ignore_errors=True)
            else:
                file.write_bytes(file.read_bytes()[: 600 if damage == "cut short" else 0])

    errors = list(errors_of(build(tmp_path), spoil))
    assert errors
    assert not [name for error in errors for name in NAMES if name in whole_story(error)]


@pytest.mark.parametrize("build", [folder, cmmd_collection, vindr])
def test_illegal_values_in_headers_are_read_without_a_warning(
    tmp_path: Path, build: Callable[..., LabelledDataset]
) -> None:
    dataset = build(tmp_path)
    for file in [*tmp_path.rglob("*.dcm"), *tmp_path.rglob("*.dicom")]:
        spoilt = read_header(file)
        for keyword in ("BodyPartExamined", "ImageLaterality", "ViewPosition"):
            add_illegal(spoilt, keyword, "CS", PATIENT_NAME)
        add_illegal(spoilt, "PatientID", "LO", 9 * PATIENT_ID)
        write(file, spoilt)
    errors = list(errors_of(dataset, lambda: None))
    assert errors
    assert not [name for error in errors for name in NAMES if name in whole_story(error)]


def whole_story(error: InferenceError) -> str:
    """Return the message and those of its causes, as a log shows them."""
    return "".join(traceback.format_exception(error)).lower()
