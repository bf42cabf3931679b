"""A site that asks for every kind of result, in every form, with every fallback."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, uid
from pynetdicom import build_context

from glam_node.inference.findings import FindingKind
from glam_node.node.results.codes import TEN_POINT_SCORE
from glam_node.result_kinds import ANALYSIS_KINDS, SOP_CLASSES
from glam_node.settings.keys import keys
from tests.features import choices
from tests.integration.archive import Archive, listening
from tests.integration.modality import small_exam
from tests.system.orthanc import Orthanc, running_orthanc
from tests.system.site import Site, folder, objects, running_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

MAXIMUM_AGE_S = 2.0
SYNTAXES = {
    "rle_lossless": ("secondary_capture", uid.RLELossless),
    "deflated_explicit_vr_little_endian": ("measurement_report", uid.DeflatedExplicitVRLittleEndian),
    "implicit_vr_little_endian": ("mammography_cad_sr", uid.ImplicitVRLittleEndian),
    "explicit_vr_little_endian": ("comprehensive_sr", uid.ExplicitVRLittleEndian),
}
PRESENTED = {
    "percent": {"score_scale": "percent", "code_scheme": "SCT"},
    "raw": {"score_scale": "raw", "code_scheme": "SCT"},
    "ten": {
        "score_scale": "ten",
        "code_scheme": "SRT",
        "banner": "For the trial alone",
        "series_description": "Trial {subject}",
        "series_number": 7700,
    },
}
AFTERWARDS = ({"score_scale": "percent", "secondary_capture": "sheet"}, {"score_scale": "raw", "code_scheme": "SCT"})
RESULTS: dict[str, Any] = {
    "manufacturer": "Hospital",
    "station_name": "READER1",
    "institution_name": "Hospital of Tests",
    "device_serial_number": "42-7",
    "series_number": 8800,
    "banner": "For the study of tests alone",
    "series_description": "Tests {subject}",
    "score_scale": "ten",
    "code_scheme": "SRT",
    "secondary_capture": "views",
}


@dataclass
class Place:
    """The site, its archives, and its first study."""

    site: Site
    orthanc: Orthanc
    archives: dict[str, Archive]
    deliveries: list[dict[str, Any]]

    def folder(self, name: str) -> Path:
        return self.site.path.parent / name

    def made_after(self, more: dict[str, Any], seed: int) -> list[Dataset]:
        """Change the settings of the site, send another study, and return all of its result objects."""
        self.site.reload(more)
        study = self.site.send(two_views(seed))
        self.site.wait_for(study)
        wait_until(lambda: {one["state"] for one in self.of("everything", study)} == {"STORED"}, told=self.site.log)
        return [one for one in objects(self.folder("everything")) if one.StudyInstanceUID == study]

    def of(self, destination: str, study: str = "") -> list[dict[str, Any]]:
        """Return the deliveries of a study, by default the first one, to one destination."""
        deliveries = self.site.study(study)["deliveries"] if study else self.deliveries
        return [one for one in deliveries if one["destination"] == destination]


def fallbacks() -> list[tuple[str, str]]:
    """Return every pair of a kind of result and a kind that may replace it."""
    return [
        (path[-1], choice) for path, key in keys().items() if path[-2:-1] == ("fallbacks",) for choice in choices(key)
    ]


def two_views(seed: int) -> list[Dataset]:
    """Return half of an exam, from which every kind of result is made in less time."""
    return small_exam(seed)[:2]


def refusing(*kinds: str) -> Archive:
    """Return an archive that accepts everything except the SOP classes of these kinds."""
    classes = set(SOP_CLASSES.values()) - {SOP_CLASSES[kind] for kind in kinds}
    return Archive(ae_title="REFUSING", contexts=[build_context(one, uid.ExplicitVRLittleEndian) for one in classes])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        orthanc = stack.enter_context(running_orthanc(root / "orthanc"))
        kinds = dict.fromkeys(kind for kind, _ in fallbacks())
        archives = {kind: stack.enter_context(listening(refusing(kind))) for kind in kinds}
        neither = stack.enter_context(listening(refusing("segmentation", "measurement_report")))
        destinations: dict[str, Any] = {
            "everything": folder(root / "everything", results=list(SOP_CLASSES)),
            **{
                name: folder(root / name, results=["measurement_report"], presentation=presentation)
                for name, presentation in PRESENTED.items()
            },
            **{
                name: {
                    "ae_title": "ORTHANC", "port": orthanc.dicom_port, "results": [kind],
                    "transfer_syntaxes": list(dict.fromkeys([name, "explicit_vr_little_endian"])),
                }
                for name, (kind, _) in SYNTAXES.items()
            },
            **{
                f"{kind}-{instead}": {
                    "ae_title": "REFUSING", "port": archives[kind].port,
                    "results": [kind], "fallbacks": {kind: instead},
                }
                for kind, instead in fallbacks()
            },
            "neither": {
                "ae_title": "REFUSING", "port": neither.port, "results": ["segmentation", "measurement_report"],
                "fallbacks": {"segmentation": "measurement_report", "measurement_report": "segmentation"},
            },
        }  # fmt: skip
        settings = {
            "destinations": destinations,
            "assembly": {"quiet_time": 2.0, "maximum_age": MAXIMUM_AGE_S},
            "inference": {"calibration": {kind: {"slope": 1.5, "intercept": -0.5} for kind in FindingKind}},
            "eligibility": {
                "minimum_views": 2,
                "accept_implants": False,
                "read_descriptions": False,
                "image_types": ["HOUSE TERM"],
            },
        }
        site = stack.enter_context(running_site(root, settings))
        study = site.send(two_views(711))
        yield Place(site, orthanc, archives, site.wait_for_deliveries(study))


@pytest.mark.features(
    "destinations.NAME.results",
    "destinations.NAME.results = segmentation",
    "destinations.NAME.results = fractional_segmentation",
    "destinations.NAME.results = labelmap_segmentation",
    "destinations.NAME.results = parametric_map",
    "destinations.NAME.results = mammography_cad_sr",
    "destinations.NAME.results = presentation_state",
    "destinations.NAME.results = secondary_capture",
    "destinations.NAME.results = encapsulated_pdf",
    "destinations.NAME.results = measurement_report",
    "destinations.NAME.results = key_object_selection",
    "destinations.NAME.results = comprehensive_sr",
)
def test_a_destination_gets_every_kind_of_result(place: Place) -> None:
    classes = {one.SOPClassUID for one in objects(place.folder("everything"))}
    assert classes >= {SOP_CLASSES[kind] for kind in ANALYSIS_KINDS}
    segmentations = [one for one in objects(place.folder("everything")) if one.SOPClassUID == uid.SegmentationStorage]
    assert {one.SegmentationType for one in segmentations} == {"BINARY", "FRACTIONAL"}


@pytest.mark.features("destinations.NAME.transfer_syntaxes", "destinations.NAME.transfer_syntaxes = *")
def test_objects_are_sent_in_the_transfer_syntax_that_the_destination_prefers(place: Place) -> None:
    orthanc = place.orthanc
    stored = {
        (
            orthanc.get_bytes(f"/instances/{name}/metadata/SopClassUid").decode(),
            orthanc.get_bytes(f"/instances/{name}/metadata/TransferSyntax").decode(),
        )
        for name in orthanc.get("/instances")
    }
    assert stored == {(str(SOP_CLASSES[kind]), str(syntax)) for kind, syntax in SYNTAXES.values()}


@pytest.mark.features("destinations.NAME.fallbacks.*")
def test_each_kind_stands_in_for_each_that_an_archive_does_not_take(place: Place) -> None:
    found = {
        (kind, instead): {(one["sop_class_uid"], one["state"]) for one in place.of(f"{kind}-{instead}")}
        for kind, instead in fallbacks()
    }
    assert found == {
        (kind, instead): {(SOP_CLASSES[kind], "REPLACED"), (SOP_CLASSES[instead], "STORED")}
        for kind, instead in fallbacks()
    }
    assert all(archive.received for archive in place.archives.values())


def test_results_that_stand_in_for_each_other_are_given_up_where_neither_is_taken(place: Place) -> None:
    assert {one["state"] for one in place.of("neither")} == {"REPLACED", "ABANDONED"}


def text(report: Dataset) -> str:
    """Return all text of a report."""
    return str(report)


@pytest.mark.features("destinations.NAME.presentation.*")
def test_results_look_at_each_destination_as_it_asks(place: Place) -> None:
    reports = {name: objects(place.folder(name))[0] for name in PRESENTED}
    ten = reports["ten"]
    assert (ten.SeriesDescription.split()[0], ten.SeriesNumber >= 7700, "For the trial alone" in text(ten)) == (
        "Trial",
        True,
        True,
    )
    schemes = {name: "'SRT'" in text(report) for name, report in reports.items()}
    assert schemes == {"percent": False, "raw": False, "ten": True}
    assert len({report.SOPInstanceUID for report in reports.values()}) == len(PRESENTED)
    in_tenths = {name: TEN_POINT_SCORE[FindingKind.MALIGNANT].value in text(report) for name, report in reports.items()}
    assert in_tenths == schemes
    units = {name: text(report).count("'%'") for name, report in reports.items()}
    assert units["raw"] < units["percent"]


@pytest.mark.features(
    "destinations.NAME.results = not_analysed_report", "eligibility.minimum_views", "assembly.quiet_time"
)
def test_a_study_of_too_few_views_is_told_of_by_a_report(place: Place) -> None:
    study = place.site.send(small_exam(712)[:1])
    place.site.wait_for(study, "INELIGIBLE")
    wait_until(lambda: [one["state"] for one in place.site.study(study)["deliveries"]] == ["STORED"])
    (notice,) = [one for one in objects(place.folder("everything")) if one.StudyInstanceUID == study]
    assert notice.SOPClassUID == SOP_CLASSES["not_analysed_report"]
    assert place.site.study(study)["rule"] == "too_few_views"


@pytest.mark.features("eligibility.accept_implants")
def test_images_of_implants_are_left_out_where_the_site_says_so(place: Place) -> None:
    study = place.site.send_exam(713, BreastImplantPresent="YES")
    told = place.site.wait_for(study, "INELIGIBLE")
    assert told["rule"] == "implants"


@pytest.mark.features("eligibility.read_descriptions", "eligibility.image_types")
def test_images_are_read_that_the_site_knows_better(place: Place) -> None:
    views = two_views(718)
    for view in views:
        view.SeriesDescription, view.ImageType = "C-View", ["ORIGINAL", "PRIMARY", "HOUSE TERM"]
    place.site.wait_for(place.site.send(views))


@pytest.mark.features("assembly.maximum_age")
def test_a_study_that_never_ends_is_read_at_its_greatest_age(place: Place) -> None:
    views = small_exam(714)[:1]
    study = place.site.send(views)
    started = time.monotonic()
    while time.monotonic() < started + 2 * MAXIMUM_AGE_S:
        views[0].SOPInstanceUID = uid.generate_uid()
        place.site.send(views)
    wait_until(lambda: "study_complete" in {event["event"] for event in place.site.study(study)["timeline"]})
    told = place.site.study(study)["timeline"]
    assert next(event["detail"]["rule"] for event in told if event["event"] == "study_complete") == "maximum_age"


@pytest.mark.features("results.*", "glam-node settings reload")
def test_results_present_themselves_as_the_site_says_after_a_reload(place: Place) -> None:
    others = dict.fromkeys({one["destination"] for one in place.deliveries} - {"everything"})
    made = place.made_after({"results": RESULTS, "destinations": others}, 715)
    told = {(one.Manufacturer, one.StationName, one.InstitutionName, one.DeviceSerialNumber) for one in made}
    assert told == {("Hospital", "READER1", "Hospital of Tests", "42-7")}
    assert all(one.SeriesDescription.startswith("Tests ") and one.SeriesNumber >= 8800 for one in made)
    report = next(one for one in made if one.SOPClassUID == SOP_CLASSES["measurement_report"])
    assert (RESULTS["banner"] in text(report), "'SRT'" in text(report)) == (True, True)
    assert len([one for one in made if one.SOPClassUID == SOP_CLASSES["secondary_capture"]]) == 2
    units = [text(report).count("'%'")]
    for number, more in enumerate(AFTERWARDS):
        made = place.made_after({"results": more}, 716 + number)
        units.append(
            text(next(one for one in made if one.SOPClassUID == SOP_CLASSES["measurement_report"])).count("'%'")
        )
    assert units[2] < units[0] < units[1]
    assert len([one for one in made if one.SOPClassUID == SOP_CLASSES["secondary_capture"]]) == 1
