"""Old workstations get the same concepts under SNOMED RT identifiers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sr._snomed_dict import mapping

from glam_node.node.results import kinds
from glam_node.node.results.codes import IMAGING_PROCEDURE
from glam_node.node.results.snomed_rt import SNOMED_RT
from glam_node.node.workflow.make import made_objects
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam
from tests.unit.results.cad_reports import EVERYWHERE

OLD = IDENTITY.presented({"code_scheme": "SRT"})


def coded(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Scheme and value of every coded concept."""
    if "CodingSchemeDesignator" in dataset and "CodeValue" in dataset:
        yield str(dataset.CodingSchemeDesignator), str(dataset.CodeValue)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from coded(item)


def in_rt(scheme: str, value: str) -> tuple[str, str]:
    """What is written in place of a code; every SCT code of ours but one has an identifier."""
    if scheme != "SCT" or value == IMAGING_PROCEDURE.value:
        return scheme, value
    return "SRT", SNOMED_RT[value]


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam(64, 48, lesions=EVERYWHERE)


def test_the_table_is_that_of_the_standard() -> None:
    assert {value: mapping["SCT"][value] for value in SNOMED_RT} == SNOMED_RT


def test_every_kind_has_its_codes_in_the_scheme_that_is_asked_for(exam: Analysed, tmp_path: Path) -> None:
    paths = {uid: tmp_path / f"{uid}.dcm" for uid in exam.sources}
    for uid, path in paths.items():
        exam.sources[uid].save_as(path, enforce_file_format=True)
    every = frozenset(kinds.OF_FINDINGS)
    usual, old = (list(made_objects(exam.findings, paths, one, every)) for one in (IDENTITY, OLD))
    assert {kind for kind, _ in old} == every
    for (kind, one), (_, other) in zip(usual, old, strict=True):
        expected = [in_rt(scheme, value) for scheme, value in coded(one)]
        assert list(coded(other)) == expected, kind


def test_objects_with_other_codes_are_other_objects(exam: Analysed) -> None:
    assert exam.report(OLD).SOPInstanceUID != exam.report().SOPInstanceUID
