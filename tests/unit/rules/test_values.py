"""Tests of the evaluation of expressions on data sets, including malformed ones."""

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from glam_node.rules.expression import holds
from glam_node.rules.fields import is_shown
from glam_node.rules.grammar import parse
from glam_node.rules.header import header_values


def coded(*values: str) -> Sequence:
    """Return a sequence of codes."""
    items = []
    for value in values:
        items.append(Dataset())
        items[-1].CodeValue = value
    return Sequence(items)


def header() -> Dataset:
    """Return the header of a mammogram, with one number that is malformed."""
    stated = Dataset()
    stated.Manufacturer = "HOLOGIC, Inc. "
    stated.ImageType = ["DERIVED", "PRIMARY"]
    stated.KVP = "28.5"
    stated.PatientAge = "045Y"
    stated.StudyDate = "20240131"
    stated.StationName = ""
    stated.ProtocolName = "R [CC] view"
    stated.ViewCodeSequence = coded("R-10242", "399162004")
    stated.add_new("Exposure", "IS", None)
    return stated


HOLDS = [
    'Manufacturer == "hologic, inc."',
    'Manufacturer != "GE"',
    'not Manufacturer == "GE"',
    'Manufacturer contains "logic"',
    'Manufacturer like "HOLO*"',
    'Manufacturer in ["GE", "Hologic, Inc."]',
    'Manufacturer not in ["GE", "SIEMENS"]',
    'ImageType == "PRIMARY"',
    'ImageType != "ORIGINAL"',
    "KVP > 28",
    "KVP == 28.50",
    "PatientAge >= 45Y",
    "PatientAge > 500M",
    "StudyDate < 2024-02-01",
    "StudyDate in [2024-01-31]",
    'ViewCodeSequence.CodeValue == "399162004"',
    "StationName is missing",
    "Exposure is missing",
    'not StationName == "MG1"',
    'KVP < 1 or Manufacturer == "hologic, inc." and KVP > 28',
    'ProtocolName like "R [CC] *"',
    'Manufacturer like "?ologic*"',
]
DOES_NOT_HOLD = [
    'ImageType != "PRIMARY"',
    'ImageType not in ["PRIMARY", "X"]',
    'StationName == ""',
    'StationName != "MG1"',
    'StationName not in ["MG1"]',
    "Exposure < 100000",
    "PatientAge < 40Y",
    "ViewCodeSequence.CodeMeaning is present",
    'Manufacturer like "hologic"',
    '(KVP < 1 or Manufacturer == "hologic, inc.") and KVP > 29',
    'ProtocolName like "R [C]*"',
]


@pytest.mark.parametrize("text", HOLDS)
def test_an_expression_holds_for_matching_values(text: str) -> None:
    stated = header()
    assert holds(parse(text), lambda field: header_values(stated, field))


@pytest.mark.parametrize("text", DOES_NOT_HOLD)
def test_an_expression_does_not_hold_for_other_values(text: str) -> None:
    stated = header()
    assert not holds(parse(text), lambda field: header_values(stated, field))


def test_an_unreadable_value_counts_as_missing() -> None:
    stated = Dataset()
    stated.add(DataElement("PatientAge", "AS", "old", validation_mode=IGNORE))
    stated.add(DataElement("StudyDate", "DA", "yesterday", validation_mode=IGNORE))
    assert header_values(stated, "PatientAge") == header_values(stated, "StudyDate") == ()


@pytest.mark.parametrize(("field", "shown"), [("KVP", True), ("PatientAge", False), ("StudyDescription", False)])
def test_values_of_the_patient_and_free_text_are_not_shown(field: str, shown: bool) -> None:
    assert is_shown(field) is shown
