"""A running node with one bad image, one kind of result that cannot be written, and an interrupted sender."""

import json
import os
import struct
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ParametricMapStorage, SegmentationStorage

from tests.command_line import glam_node
from tests.data_sets import data_set
from tests.integration.modality import MODALITY, small_exam
from tests.integration.scp.raw import Sender, p_data, pdv, store_rq
from tests.ports import free_port
from tests.system.site import Site, folder, objects, running_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

PREDICTOR = "tests.system.odd_predictors:OneOddMapPredictor"
RESULTS = ["segmentation", "parametric_map", "measurement_report"]
LACKING = "The parametric map of L CC could not be written"


@dataclass
class Place:
    """The site and the port of its console."""

    site: Site
    console: int

    @property
    def archive(self) -> Path:
        return self.site.path.parent / "archive"

    def asked(self, path: str) -> str:
        """Return the console's answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.console}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def results(self, uid: str) -> list[Dataset]:
        """Return the results of a study in the archive."""
        return [one for one in objects(self.archive) if one.StudyInstanceUID == uid]

    def said(self, uid: str) -> str:
        """Return the texts of the study's report."""
        (report,) = [one for one in self.results(uid) if one.Modality == "SR"]
        return " ".join(str(element.value) for element in report.iterall() if element.keyword == "TextValue")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root, console = tmp_path_factory.mktemp("site"), free_port()
    settings = {
        "console": {"port": console},
        "destinations": {"archive": folder(root / "archive", results=RESULTS)},
        "inference": {"predictor": PREDICTOR},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
        with running_site(root, settings) as site:
            yield Place(site, console)


def test_a_map_that_cannot_be_written_of_one_view_stops_no_other_result(place: Place) -> None:
    uid = place.site.send_exam(901)
    place.site.wait_for_deliveries(uid)
    classes = [one.SOPClassUID for one in place.results(uid)]
    assert (classes.count(ParametricMapStorage), classes.count(SegmentationStorage)) == (6, 4)
    assert len(classes) == 11
    assert LACKING in place.site.command("study", uid)
    assert LACKING in place.asked(f"/studies/{uid}")
    assert LACKING in place.said(uid)


def test_an_image_that_cannot_be_displayed_stops_no_other_image(place: Place) -> None:
    views = small_exam(902)
    views[1].VOILUTFunction = "NONSENSE"
    uid = place.site.send(views)
    place.site.wait_for_deliveries(uid)
    referenced = [one for one in place.results(uid) if one.SOPClassUID == SegmentationStorage]
    assert len(referenced) == 3
    reason = "VOI LUT Function NONSENSE is not known"
    assert reason in place.site.command("study", uid)
    assert reason in place.said(uid)


def test_analyse_says_what_could_not_be_written_and_exits_with_1(tmp_path: Path) -> None:
    for number, view in enumerate(small_exam(903)):
        view.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    words = ("analyse", tmp_path, "--out", tmp_path / "out", "--also", "parametric_map")
    done = glam_node(*words, expect=1, GLAM_NODE__INFERENCE__PREDICTOR=PREDICTOR)
    assert f"not written: {tmp_path}" in done.stdout
    assert LACKING in done.stdout
    (study,) = json.loads(glam_node(*words, "--json", expect=1, GLAM_NODE__INFERENCE__PREDICTOR=PREDICTOR).stdout)[
        "studies"
    ]
    assert [LACKING in one["reason"] for one in study["not_written"]] == [True]
    assert sum("MAP-" in path for path in study["objects"]) == 6


def test_a_sender_that_breaks_off_is_in_status_console_and_metrics(place: Place) -> None:
    with Sender(place.site.port) as sender:
        assert sender.associate(calling=MODALITY) == 2
        sender.store("1.2.3.1", data_set("1.2.3.1"))
        sender.send(p_data(pdv(store_rq("1.2.3.2"), command=True, last=True), pdv(b"x", command=False, last=False)))
        sender.send(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
    reason = "aborted by the peer, in the middle of an instance"
    wait_until(lambda: reason in place.site.command("status", expect=None), told=place.site.log)
    assert f"{MODALITY} at 127.0.0.1" in place.site.command("status", expect=None)
    assert reason in place.asked("/refusals")
    assert 'event="association_aborted"} 1' in place.asked("/metrics")
