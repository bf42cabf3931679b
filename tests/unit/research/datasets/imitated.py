"""Data sets, imitated: tables of CBIS-DDSM, CMMD, INbreast and VinDr-Mammo 1.0.0, and reduced pictures of CBIS-DDSM."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from glam_node.research.datasets.vindr_mammo import BREASTS, FINDINGS
from tests.unit.research.datasets.tiny import write_csv

MASS_TRAIN = "mass_case_description_train_set.csv"
CMMD_ROW = {
    "ID1": "D1-0001",
    "LeftRight": "R",
    "Age": "44",
    "number": "2",
    "abnormality": "calcification",
    "classification": "Benign",
    "subtype": "",
}
INBREAST_ROW = {
    "Patient ID": "removed",
    "Patient age": "removed",
    "Laterality": "L",
    "View": "CC",
    "Acquisition date": "201001",
    "File Name": "22678646",
    "ACR": " ",
    "Bi-Rads": "4a",
}
BREAST = {
    "study_id": "aa11",
    "series_id": "bb22",
    "laterality": "L",
    "view_position": "CC",
    "image_id": "cc01",
    "height": "64",
    "width": "48",
    "breast_birads": "BI-RADS 4",
    "breast_density": "DENSITY C",
    "split": "training",
}


FINDING = {
    "image_id": "cc01",
    "finding_categories": "['Mass']",
    "finding_birads": "BI-RADS 4",
    "xmin": "-3.2",
    "ymin": "10.1",
    "xmax": "12.4",
    "ymax": "19.9",
}


NO_FINDING = dict.fromkeys(("finding_birads", "xmin", "ymin", "xmax", "ymax"), "")


def vindr_mammo(folder: Path, breasts: list[dict[str, str]], findings: list[dict[str, str]]) -> Path:
    write_csv(folder / BREASTS, [BREAST | row for row in breasts])
    write_csv(folder / FINDINGS, [FINDING | row for row in findings])
    return folder


def cbis_row(case: str = "Mass-Training_P_00001_LEFT_CC", lesion: int = 1, **columns: str) -> dict[str, str]:
    side, view = case.split("_")[-2:]
    series = "1.3.6.1.4.1.9590.100.1.2.1/1.3.6.1.4.1.9590.100.1.2.2"
    stated = {
        "patient_id": "_".join(case.split("_")[1:3]),
        "breast_density": "3",
        "left or right breast": side,
        "image view": view,
        "abnormality id": str(lesion),
        "abnormality type": "mass",
        "assessment": "4",
        "pathology": "MALIGNANT",
        "image file path": f"{case}/{series}/000000.dcm",
        "cropped image file path": f"{case}_{lesion}/{series}/000000.dcm",
        "ROI mask file path": f"{case}_{lesion}/{series}/000001.dcm\n",
    }
    return stated | columns


CBIS_MASS_ROW = {
    "file": "images/00001_LEFT_CC.png",
    "patient": "00001",
    "image_laterality": "L",
    "view_position": "CC",
    "malignant": "1",
    "benign": "0",
    "boxes": "50 80 20 20",
}


def cbis_mass_row(patient: int, side: str = "L") -> dict[str, str]:
    """Return the row of a woman's CC view; every other woman's mass is malignant."""
    labels = {"malignant": str(patient % 2), "benign": str(1 - patient % 2)}
    name = {"file": f"images/{patient:05}_{side}.png", "patient": f"{patient:05}", "image_laterality": side}
    return CBIS_MASS_ROW | name | labels


def cbis_mass(folder: Path, rows: Sequence[dict[str, str]], mirrored: bool = False) -> Path:
    """Write the table with these rows and their pictures."""
    for row in rows:
        _picture(folder / row["file"], mirrored)
    write_csv(folder / "labels.csv", list(rows))
    return folder


def _picture(path: Path, mirrored: bool) -> None:
    """Write a left breast of 200 x 200 pixels that has a bright mass, with a white border at the right."""
    rows, columns = np.mgrid[:200, :200]
    pixels = np.where(((rows - 100) / 70) ** 2 + (columns / 100) ** 2 < 1, 120, 8).astype(np.uint8)
    pixels[80:100, 50:70] = 180
    pixels[:, -5:] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[:, ::-1] if mirrored else pixels)
