"""Tables of data sets, imitated: CBIS-DDSM, CMMD, INbreast and VinDr-Mammo 1.0.0."""

from pathlib import Path

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
