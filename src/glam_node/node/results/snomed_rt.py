"""Codes for older workstations: SNOMED RT identifiers (SRT) in place of SNOMED CT concepts (SCT).

Both identify the same concepts (PS3.16 Annex O). DICOM printed SRT codes until 2017.
"""

from pydicom.dataset import Dataset

# All SCT codes in our objects; the last five come from highdicom. The procedure reported (363679005) is missing, since
# PS3.16 CID 100 has no SRT code for it.
SNOMED_RT = {
    "49755003": "M-01000",
    "52988006": "M-01100",
    "76752008": "T-04000",
    "24028007": "G-A100",
    "7771000": "G-A101",
    "51440002": "G-A102",
    "399162004": "R-10242",
    "399368009": "R-10226",
    "42798000": "G-A166",
    "103339001": "G-A185",
    "373098007": "R-00317",
    "56851009": "G-A437",
    "73056007": "T-04020",
    "80248007": "T-04030",
    "129793001": "F-01796",
    "133884007": "P5-B3402",
    "246205007": "G-C1C6",
    "260753009": "G-C05F",
    "272741003": "G-C171",
    "276214006": "R-427CE",
    "363698007": "G-C0E3",
}


def use_snomed_rt(dataset: Dataset) -> None:
    """Replace each SCT code of the table by its SRT code, in `dataset` and all its sequences."""
    if dataset.get("CodingSchemeDesignator") == "SCT" and str(dataset.CodeValue) in SNOMED_RT:
        dataset.CodeValue = SNOMED_RT[str(dataset.CodeValue)]
        dataset.CodingSchemeDesignator = "SRT"
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                use_snomed_rt(item)
