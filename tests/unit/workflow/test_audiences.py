"""Audiences: destinations whose results look different get objects of their own."""

from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.node.bootstrap import audiences
from glam_node.node.workflow.analyse.context import Audience
from glam_node.settings.destination_base import PresentationSettings
from glam_node.settings.destinations import CStoreSettings
from tests.unit.workflow.workbench import Workbench

RAW = {"score_scale": "raw", "series_description": "AI {subject}", "banner": "Study 12 only", "series_number": 70}


def by_destination(bench: Workbench) -> dict[str, Dataset]:
    """Return the newest result of each destination."""
    return {one.destination: dcmread(bench.results()[one.sop_instance_uid]) for one in bench.deliveries()}


def both_read(bench: Workbench, image: Dataset) -> dict[str, Dataset]:
    """Analyse an image for an archive and for a station with another presentation; return the result of each."""
    bench.destinations = {"archive": ("measurement_report",)}
    bench.others = (Audience({"station": ("measurement_report",)}, {}, RAW),)
    bench.run(bench.submitted(image))
    return by_destination(bench)


def test_each_audience_gets_objects_of_its_own(bench: Workbench, exam: list[Dataset]) -> None:
    results = both_read(bench, exam[1])
    assert results["archive"].SOPInstanceUID != results["station"].SOPInstanceUID
    station = results["station"]
    assert (station.SeriesDescription, station.SeriesNumber) == ("AI report UNTRAINED", 70)
    assert station.CompletionFlagDescription == "Study 12 only, UNTRAINED"
    assert ("Percent" in str(results["archive"]), "Percent" in str(station)) == (True, False)


def test_a_report_follows_that_of_the_same_audience(bench: Workbench, exam: list[Dataset]) -> None:
    first = both_read(bench, exam[1])
    for destination, report in both_read(bench, exam[0]).items():
        (study,) = report.PredecessorDocumentsSequence
        named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        assert named == first[destination].SOPInstanceUID


def test_destinations_that_look_alike_share_their_objects() -> None:
    raw = PresentationSettings(score_scale="raw")
    destinations = {
        "a": CStoreSettings(),
        "b": CStoreSettings(presentation=raw),
        "c": CStoreSettings(results=("secondary_capture",)),
    }
    shared, own = audiences(destinations)
    assert (set(shared.destinations), set(own.destinations)) == ({"a", "c"}, {"b"})
    assert shared.wanted == {"segmentation", "measurement_report", "secondary_capture"}
    assert own.presentation == {"score_scale": "raw"}


def test_a_node_without_destinations_has_one_audience() -> None:
    (kept,) = audiences({})
    assert kept.wanted == {"segmentation", "measurement_report"}
