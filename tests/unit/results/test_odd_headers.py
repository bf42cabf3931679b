"""Sources with arbitrary headers, for which every kind of result is written as a legal object."""

from copy import deepcopy
from io import BytesIO

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from glam_node import result_kinds
from tests.unit.results.analysed import Analysed, analysed_exam

# Attributes that writers copy from a source, or on which they depend
COPIED = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName", "IssuerOfPatientID", "OtherPatientIDs", "PatientBirthTime", "PatientAge"),
    *("PatientSize", "PatientWeight", "EthnicGroup", "PatientComments", "PatientIdentityRemoved", "ContentDate"),
    *("DeidentificationMethod", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialSubjectID"),
    *("StudyDescription", "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber"),
    *("InstitutionName", "StationName", "SpecificCharacterSet", "SOPClassUID", "Modality", "ContentTime"),
    *("PatientOrientation", "ImagerPixelSpacing", "TimezoneOffsetFromUTC", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod", "Laterality", "ImageLaterality"),
    *("DerivationCodeSequence", "DeidentificationMethodCodeSequence", "RescaleType", "Rows", "Columns"),
)
ODD = (
    *(b"", b"  ", b"\0\0", b"x" * 70, b"\\\\", b"a\\b\\c ", b"-1", b"\xe9\xff", b"99999999", b"\x1b$B%d", b"nan "),
    *(b"2026-01-02", b"1.2.3.\0", b"10:15:00.1234567", b"\n\r\t\0", b"2.25.1 "),
)


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam(64, 48).only("L CC")


def with_raw(exam: Analysed, values: dict[str, bytes]) -> Analysed:
    """Return the exam as if its image had arrived with these bytes."""
    (uid,) = (image.sop_instance_uid for image in exam.findings.images)
    source: Dataset = deepcopy(exam.sources[uid])
    for keyword, value in values.items():
        tag, vr = Tag(keyword), dictionary_VR(keyword)
        raw = b"" if vr == "SQ" else value
        source._dict[tag] = RawDataElement(tag, vr, len(raw), raw, 0, False, True)
    return Analysed(exam.findings, {uid: source})


def check(exam: Analysed) -> None:
    """Check every kind of result, except for parametric maps, which may be absent."""
    made = exam.every_kind()
    assert {one.kind for one in made} >= set(result_kinds.ANALYSIS_KINDS) - {result_kinds.PARAMETRIC_MAP}
    for one in made:
        read = pydicom.dcmread(BytesIO(b"".join(one.parts)))
        assert read.StudyInstanceUID == exam.findings.study_instance_uid
        assert sum(1 for _ in read.iterall()) > 50


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("value", ODD)
def test_every_kind_is_written_of_a_source_all_of_whose_elements_are(exam: Analysed, value: bytes) -> None:
    check(with_raw(exam, dict.fromkeys(COPIED, value)))


# Breast Projection, CT, and a vendor's own class
@pytest.mark.parametrize("name", ["1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.2", "1.3.6.1.4.9999"])
def test_every_kind_is_written_of_an_image_of_any_class_and_names_that_class(exam: Analysed, name: str) -> None:
    odd = with_raw(exam, {"SOPClassUID": name.encode()})
    check(odd)
    for result in (odd.segmentations()[0], odd.report(), odd.notice()):
        assert name in result.to_json()


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.dictionaries(st.sampled_from(COPIED), st.sampled_from(ODD) | st.binary(max_size=20), max_size=6))
def test_every_kind_is_written_whatever_a_source_says(exam: Analysed, values: dict[str, bytes]) -> None:
    check(with_raw(exam, values))
