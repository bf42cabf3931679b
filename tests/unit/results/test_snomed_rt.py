"""SNOMED RT identifiers of the same concepts, for older workstations."""

from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.sr._snomed_dict import mapping

from glam_node import result_kinds
from glam_node.node.results.codes import IMAGING_PROCEDURE, SNOMED_RT
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam
from tests.unit.results.cad_reports import EVERYWHERE

OLD = IDENTITY.presented({"code_scheme": "SRT"})


def coded(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield scheme and value of every coded concept."""
    if "CodingSchemeDesignator" in dataset and "CodeValue" in dataset:
        yield str(dataset.CodingSchemeDesignator), str(dataset.CodeValue)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from coded(item)


def in_rt(scheme: str, value: str) -> tuple[str, str]:
    """Return the code that replaces a code; all SCT codes in our objects but one have an SRT identifier."""
    if scheme != "SCT" or value == IMAGING_PROCEDURE.value:
        return scheme, value
    return "SRT", SNOMED_RT[value]


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam(64, 48, lesions=EVERYWHERE)


def test_the_table_is_that_of_the_standard() -> None:
    assert {value: mapping["SCT"][value] for value in SNOMED_RT} == SNOMED_RT


def test_every_kind_has_its_codes_in_the_scheme_that_is_asked_for(exam: Analysed) -> None:
    usual, old = exam.every_kind(IDENTITY), exam.every_kind(OLD)
    assert {one.kind for one in old} == set(result_kinds.ANALYSIS_KINDS)
    for one, other in zip(usual, old, strict=True):
        expected = [in_rt(scheme, value) for scheme, value in coded(one.dataset)]
        assert list(coded(other.dataset)) == expected, one.kind


def test_objects_with_other_codes_are_other_objects(exam: Analysed) -> None:
    assert exam.report(OLD).SOPInstanceUID != exam.report().SOPInstanceUID
