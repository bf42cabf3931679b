"""The time zone that every result states, and in which all its dates and times are (PS3.3 C.12.1.1.8)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset

from glam_node import result_kinds
from glam_node.node.results.time_zone import shifted, state_zone
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, stored
from tests.unit.results.cad_reports import cad_report

EARLY_IN_THE_MORNING = IDENTITY.at(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
EVENTS = ("InstanceCreation", "Content", "Series", "PresentationCreation")


@pytest.fixture
def kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process run in India."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def all_kinds(exam: Analysed) -> list[Dataset]:
    state_zone(exam.sources.values())
    made = exam.every_kind(EARLY_IN_THE_MORNING)
    assert {one.kind for one in made} == set(result_kinds.ANALYSIS_KINDS)
    return [stored(one.dataset) for one in made]


def created(result: Dataset) -> set[tuple[str, str]]:
    """Return the date and hour of each event that originates with the object."""
    times = {(result[f"{one}Date"].value, result[f"{one}Time"].value[:4]) for one in EVENTS if f"{one}Date" in result}
    moment = result.ContributingEquipmentSequence[-1].ContributionDateTime
    assert "+" not in moment  # DCMTK's dcmpschk takes no offset here; (0008,0201) states it.
    assert "-" not in moment
    if "DateOfSecondaryCapture" in result:
        times.add((result.DateOfSecondaryCapture, result.TimeOfSecondaryCapture[:4]))
    return {*times, (moment[:8], moment[8:12])}


def test_results_are_in_the_zone_of_their_source_also_across_midnight() -> None:
    exam = analysed_exam().with_source_elements(TimezoneOffsetFromUTC="-0500")
    for result in all_kinds(exam):
        assert result.TimezoneOffsetFromUTC == "-0500"
        assert created(result) == {("20260101", "2204")}
        assert result.StudyTime == exam.source("L CC").StudyTime


@pytest.mark.usefixtures("kolkata")
def test_results_of_a_source_without_an_offset_are_in_the_zone_of_the_node_and_say_so() -> None:
    for result in all_kinds(analysed_exam()):
        assert result.TimezoneOffsetFromUTC == "+0530"
        assert created(result) == {("20260102", "0834")}


@pytest.mark.usefixtures("kolkata")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("offset", ["", "0500", "UTC", "+9900", "-05", "-1300", ["-0500", "+0100"]])
def test_an_invalid_offset_counts_as_not_stated(offset: str) -> None:
    exam = analysed_exam().only("L CC").with_source_elements(TimezoneOffsetFromUTC=offset)
    assert exam.report(EARLY_IN_THE_MORNING).TimezoneOffsetFromUTC == "+0530"


@pytest.mark.parametrize(("offset", "written"), [("+05:30", "+0530"), (" +0100 ", "+0100"), ("-0000", "+0000")])
def test_a_readable_offset_is_written_in_the_form_of_the_standard(offset: str, written: str) -> None:
    exam = analysed_exam().only("L CC").with_source_elements(TimezoneOffsetFromUTC=offset)
    assert exam.report().TimezoneOffsetFromUTC == written


def test_an_image_without_an_offset_has_that_of_the_other_images_of_its_study() -> None:
    exam = analysed_exam()
    exam.source("R MLO").TimezoneOffsetFromUTC = "-0500"
    assert {result.TimezoneOffsetFromUTC for result in all_kinds(exam)} == {"-0500"}


def test_a_report_on_images_in_two_zones_gives_all_their_times_in_its_own() -> None:
    exam = analysed_exam()
    exam.with_source_elements(TimezoneOffsetFromUTC="+0100", ContentDate="20260102", ContentTime="003000")
    exam.source("L MLO").TimezoneOffsetFromUTC = "+0200"
    report = cad_report(exam)
    assert report.TimezoneOffsetFromUTC == "+0100"
    library = report.ContentSequence[1]
    times = [
        (item.Date if "Date" in item else item.Time)
        for entry in library.ContentSequence
        for item in entry.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning.startswith("Content ")
    ]
    assert times == [*["20260102", "003000"] * 3, "20260101", "233000"]


def test_a_result_of_one_image_is_in_the_zone_of_that_image() -> None:
    exam = analysed_exam().with_source_elements(TimezoneOffsetFromUTC="+0100")
    exam.source("L MLO").TimezoneOffsetFromUTC = "+0200"
    assert [one.TimezoneOffsetFromUTC for one in exam.segmentations()] == ["+0100", "+0200"]


def test_a_date_that_no_other_zone_can_express_stays_unchanged() -> None:
    east, west = Dataset(), Dataset()
    east.TimezoneOffsetFromUTC, west.TimezoneOffsetFromUTC = "+1400", "-1200"
    assert shifted("00010101", "000000", east, west) == ("00010101", "000000")
