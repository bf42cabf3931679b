"""Headers of real mammograms: results are written, and state about the patient what the source states."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.node.errors import PermanentError
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP
from glam_node.node.results.sources import character_set, source_header
from tests.unit.results.analysed import analysed_exam, encoded, failed

ABSENT = [
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "Modality",
    "Manufacturer",
    "SOPClassUID",
    "ImagerPixelSpacing",
    "PatientOrientation",
    "SpecificCharacterSet",
]
ODD: dict[str, Any] = {
    "PatientSex": "W",
    "PatientBirthDate": "19600000",
    "StudyTime": "10:15:00",
    "StudyDate": "nodate",
    "PatientAge": "0056Y",
    "PatientOrientation": ["A"],
    "ImagerPixelSpacing": [0.07],
    "SpecificCharacterSet": "ISO_IR 6",
    "StudyDescription": "x" * 90,
    "Manufacturer": "m" * 90,
}


def source(**elements: Any) -> Dataset:
    dataset = make_exam(1, rows=64, columns=48)[0].dataset
    for keyword, value in elements.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    return dataset


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("keyword", ABSENT)
def test_results_are_written_from_a_source_that_lacks_an_attribute(keyword: str) -> None:
    exam = analysed_exam().only("L CC").with_source_elements(**{keyword: None})
    assert exam.report().StudyInstanceUID == exam.findings.study_instance_uid


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    ("stated", "is_copied"),
    [
        (["A", "FR"], True),
        (["PL", "FLA"], True),
        (["A", "P"], False),
        (["A", "A"], False),
        (["AP", "F"], False),
        (["X", "Y"], False),
        (["A", "FFR"], False),
        (["a", "f"], False),
        (["", "F"], False),
        (["A", "F", "R"], False),
    ],
)
def test_only_a_patient_orientation_of_two_directions_is_copied(stated: list[str], is_copied: bool) -> None:
    header = source_header(source(PatientOrientation=stated))
    assert (header.get("PatientOrientation") == stated) == is_copied
    assert ("PatientOrientation" in header) == is_copied


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("keyword", ODD)
def test_results_are_written_from_a_source_with_an_illegal_value(keyword: str) -> None:
    exam = analysed_exam().only("L CC").with_source_elements(**{keyword: ODD[keyword]})
    assert exam.report().StudyInstanceUID == exam.findings.study_instance_uid


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("PatientSex", "f", "F"),
        ("PatientSex", "W", ""),
        ("PatientBirthDate", "19600101", "19600101"),
        ("PatientBirthDate", "1960.01.01", "19600101"),
        ("PatientBirthDate", "19600000", ""),
        ("StudyTime", "10:15:00", "101500"),
        ("StudyTime", "101500.1234567", "101500.123456"),
        ("StudyTime", "noon", ""),
    ],
)
def test_values_are_kept_repaired_or_emptied(keyword: str, value: str, kept: str) -> None:
    assert source_header(source(**{keyword: value})).get(keyword) == kept


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber", "StudyID"])
def test_identifying_values_are_kept_at_any_length(keyword: str) -> None:
    assert source_header(source(**{keyword: "7" * 80})).get(keyword) == "7" * 80


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_an_illegal_optional_value_is_left_out() -> None:
    assert "StudyDescription" not in source_header(source(StudyDescription="x" * 90))


def test_patient_and_study_are_those_of_the_source() -> None:
    exam = analysed_exam().with_source_elements(IssuerOfPatientID="HOSPITAL", PatientComments="none")
    view = exam.source("L CC")
    for result in (*exam.segmentations(), exam.report()):
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
            assert result.get(keyword) == view.get(keyword)
        assert (result.StudyDate, result.StudyTime, result.StudyDescription) == (
            view.StudyDate,
            view.StudyTime,
            view.StudyDescription,
        )
        assert (result.IssuerOfPatientID, result.PatientComments) == ("HOSPITAL", "none")


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("elements", [{"Rows": None}, {"Columns": 0}, {"Rows": "many"}], ids=str)
def test_an_image_that_could_not_be_read_at_all_is_reported(elements: dict[str, Any]) -> None:
    exam = analysed_exam().only("L CC")
    exam = exam.with_images(failed(exam.image("L CC"), "No size."))
    source = exam.source("L CC")
    for keyword, value in elements.items():
        if value is None:
            delattr(source, keyword)
        else:
            source[keyword]._value = value
    assert b"could not be analysed: No size." in encoded(exam.report())


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_patient_id_that_is_too_long_is_written_whole() -> None:
    exam = analysed_exam().only("L CC").with_source_elements(PatientID="7" * 80)
    assert {result.PatientID for result in (*exam.segmentations(), exam.report())} == {"7" * 80}


def test_an_unlikely_name_is_kept_and_not_printed() -> None:
    exam = analysed_exam().only("L CC").with_source_elements(PatientName="Noname")
    assert str(exam.report().PatientName) == "Noname"


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_source_that_cannot_be_referred_to_is_a_permanent_error(keyword: str) -> None:
    with pytest.raises(PermanentError, match=keyword):
        source_header(source(**{keyword: None}))


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("ISO_IR 100", "Müller^Ärztin"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 192", "王^小東"),
        ("GB18030", "王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["ISO 2022 IR 6", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
    ids=str,
)
def test_a_name_survives_in_the_character_set_of_its_source(terms: str | list[str], name: str) -> None:
    exam = analysed_exam().only("L CC").with_source_elements(SpecificCharacterSet=terms, PatientName=name)
    for result in (*exam.segmentations(), exam.report()):
        assert str(result.PatientName) == name
        assert result.SpecificCharacterSet == terms


@pytest.mark.parametrize(
    ("terms", "written"),
    [
        ("ISO_IR 100", "ISO_IR 100"),
        ("ISO_IR 6", None),
        ("", None),
        (["", "ISO 2022 IR 87"], ["", "ISO 2022 IR 87"]),
        ("ISO_IR 999", "ISO_IR 192"),
    ],
    ids=str,
)
def test_the_character_set_is_kept_where_it_is_legal(terms: str | list[str], written: str | list[str] | None) -> None:
    assert character_set(source(SpecificCharacterSet=terms)) == written


def test_texts_of_the_site_outside_ascii_use_utf_8() -> None:
    assert character_set(source(SpecificCharacterSet="ISO_IR 100"), "Klinik Żory") == "ISO_IR 192"


def test_the_method_of_a_removed_identity_is_stated_in_words_or_codes() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113100", "DCM", "Basic Profile"
    coded = source(PatientIdentityRemoved="YES", DeidentificationMethodCodeSequence=[code])
    assert source_header(coded).DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert "DeidentificationMethod" not in source_header(coded)
    exam = analysed_exam().with_source_elements(PatientIdentityRemoved="YES", DeidentificationMethod="")
    report = exam.report()
    assert (report.PatientIdentityRemoved, report.DeidentificationMethod) == ("YES", "Not stated by the source image")


def test_descriptions_distinguish_the_series_of_one_view() -> None:
    exam = analysed_exam(129, 97)
    types = (BINARY, FRACTIONAL, LABELMAP)
    written = [one for segmentation_type in types for one in exam.segmentations(segmentation_type=segmentation_type)]
    descriptions = [one.SeriesDescription for one in written]
    assert len(set(descriptions)) == len(descriptions) > 6
    assert all("research use" in one for one in descriptions)
