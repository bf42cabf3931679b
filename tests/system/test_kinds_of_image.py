"""A node that receives every kind of image, analyses the screening views and states why others are left out."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import threshold_package
from tests.ports import free_port
from tests.posts import Posts
from tests.system.node_process import NodeProcess, dcmsend, run_glam_node, running_node
from tests.unit.kinds.headers import CT_IMAGE, PROJECTION
from tests.waiting import wait_until

THRESHOLD = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"'
ODD: dict[str, dict[str, Any]] = {
    "synthesized": {"SeriesDescription": "R CC C-View"},
    "contrast_enhanced": {"ImageType": ["DERIVED", "PRIMARY", "", "SUBTRACTION"], "ContrastBolusAgent": "IODINE"},
    "contrast_low_energy": {"ImageType": ["ORIGINAL", "PRIMARY", "", "", "LOW_ENERGY"]},
    "film": {"DetectorType": "FILM"},
    "tomosynthesis_only": {"SOPClassUID": PROJECTION},
    "other_class": {"SOPClassUID": CT_IMAGE},
    "phantom": {"CalibrationImage": "YES"},
    "image_type_unknown": {"ImageType": ["ORIGINAL", "PRIMARY", "SOMETHING"]},
}
PHRASES = ("synthesized from tomosynthesis", "contrast-enhanced", "not stored as mammograms", "phantom", "Image Type")

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]


def view_with(view: Dataset, changes: Mapping[str, Any]) -> Dataset:
    """Return another image of the same view."""
    uid = generate_uid()
    view.SOPInstanceUID = view.file_meta.MediaStorageSOPInstanceUID = uid
    for keyword, value in changes.items():
        setattr(view, keyword, value)
    view.file_meta.MediaStorageSOPClassUID = view.SOPClassUID
    return view


def views(seed: int) -> list[Dataset]:
    """Return the four views of a small phantom exam."""
    return [view.dataset for view in make_exam(seed, rows=256, columns=192)]


def saved(datasets: list[Dataset], directory: Path) -> list[Path]:
    """Write the images as files of a folder."""
    directory.mkdir()
    paths = [directory / f"{number}.dcm" for number in range(len(datasets))]
    for dataset, path in zip(datasets, paths, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return paths


def settings_for(directory: Path, port: int, more: str = "", inference: str = THRESHOLD) -> Path:
    """Write the settings of a node that accepts DCMTK and writes its reports to a folder."""
    directory.mkdir()
    (directory / "node.toml").write_text(
        f"""
node.host = "127.0.0.1"
node.port = {port}
node.additional_storage_sop_classes = ["{CT_IMAGE}"]
storage.root = "{directory / "storage"}"
assembly.settle_time = 1.0
assembly.quiet_time = 3.0
peers.dcmtk = {{ ae_title = "DCMTK", hosts = ["127.0.0.1"] }}

[destinations.folder]
kind = "folder"
path = "{directory / "folder"}"
results = ["measurement_report", "not_analysed_report"]

[inference]
{inference}
{more}
"""
    )
    return directory / "node.toml"


def wait_for_reports(node: NodeProcess, count: int) -> None:
    """Wait for this number of reports in the folder, on an analysis or on the reason why there is none."""
    folder = node.settings_path.parent / "folder"
    wait_until(lambda: len(list(folder.rglob("*.dcm"))) >= count, 90, told=lambda: node.log()[-3000:])


def shown(node: NodeProcess, study_instance_uid: str, state: str) -> dict[str, Any]:
    """Return the output of `glam-node study` as a dictionary; fail unless the study is in this state."""
    study: dict[str, Any] = json.loads(node.command("study", study_instance_uid, "--json"))
    assert study["state"] == state, study["reason"]
    return study


@pytest.fixture
def webhook() -> Iterator[Posts]:
    """Run a server that receives alerts."""
    posts = Posts("/alerts", ill_status=503)
    with posts.listening():
        yield posts


@pytest.mark.features("alerts.webhook_url", "alerts.which")
def test_odd_images_beside_four_views_are_left_out_and_a_site_with_synthesized_views_is_told(
    tmp_path: Path, webhook: Posts
) -> None:
    whole = views(1)
    odd = [view_with(views(1)[0], changes) for changes in ODD.values()]
    synthesized = [view_with(view, ODD["synthesized"]) for view in views(2)]
    port = free_port()
    settings_path = settings_for(
        tmp_path / "node", port, f'[alerts]\nwebhook_url = "{webhook.url}/alerts"\nwhich = ["studies_left_out"]'
    )
    with running_node(settings_path, port) as node:
        dcmsend(port, saved([*odd, *whole], tmp_path / "whole"))
        dcmsend(port, saved(synthesized, tmp_path / "synthesized"))
        wait_for_reports(node, 2)
        study = shown(node, whole[0].StudyInstanceUID, "REPORTED")
        left_out = {one["sop_instance_uid"]: one["excluded"] for one in study["instances"]}
        assert left_out == {
            **{str(view.SOPInstanceUID): "" for view in whole},
            **{str(image.SOPInstanceUID): rule for image, rule in zip(odd, ODD, strict=True)},
        }
        assert {score["sop_instance_uid"] for score in study["scores"]} == {view.SOPInstanceUID for view in whole}
        submitted = next(step for step in study["timeline"] if step["event"] == "job_submitted")
        assert all(phrase in submitted["detail"]["reason"] for phrase in PHRASES), submitted
        alone = shown(node, synthesized[0].StudyInstanceUID, "INELIGIBLE")
        assert (alone["rule"], alone["reason"]) == (
            "synthesized",
            "no image can be analysed: 4 synthesized from tomosynthesis, which the model package does not declare",
        )
        wait_until(lambda: webhook.bodies != [], told=node.log)
        alert = json.loads(webhook.bodies[0])
        assert (alert["alert"], alert["subject"], alert["state"]) == ("studies_left_out", "synthesized", "begins")
        assert "synthesized" in alert["action"]


@pytest.mark.features("eligibility.read_descriptions", "eligibility.image_types", "inference.package")
def test_a_site_and_its_package_decide_which_kinds_are_analysed(tmp_path: Path) -> None:
    package = threshold_package(tmp_path / "package").path
    with (package / "package.toml").open("a") as file:
        file.write('\n[card]\nkinds = ["conventional", "synthesized"]\n')
    generated = {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}
    both = [*views(3), *(view_with(view, generated) for view in views(3))]
    of_this_site = [view_with(view, ODD["image_type_unknown"] | ODD["synthesized"]) for view in views(4)]
    port = free_port()
    more = '[eligibility]\nread_descriptions = false\nimage_types = ["SOMETHING"]'
    inference = f'{THRESHOLD}\npackage = "{package}"'
    with running_node(settings_for(tmp_path / "node", port, more, inference), port) as node:
        for number, images in enumerate((both, of_this_site, [view_with(view, generated) for view in views(5)])):
            dcmsend(port, saved(images, tmp_path / f"{number}"))
        wait_for_reports(node, 3)
        study = shown(node, both[0].StudyInstanceUID, "REPORTED")
        assert [one["excluded"] for one in study["instances"]].count("another_image") == 4
        assert {score["sop_instance_uid"] for score in study["scores"]} == {one.SOPInstanceUID for one in both[:4]}
        for uid in (of_this_site[0].StudyInstanceUID, make_exam(5, rows=256, columns=192)[0].dataset.StudyInstanceUID):
            assert len(shown(node, uid, "REPORTED")["scores"]) == 4


@pytest.mark.features("inference.demonstration_on_patients")
def test_the_demonstration_package_leaves_patients_out_and_says_which_setting_changes_that(tmp_path: Path) -> None:
    images = [view_with(view, {"Manufacturer": "ACME", "ManufacturerModelName": "One"}) for view in views(6)]
    port = free_port()
    settings_path = settings_for(tmp_path / "node", port, inference="")
    with running_node(settings_path, port) as node:
        dcmsend(port, saved(images, tmp_path / "images"))
        wait_for_reports(node, 1)
        study = shown(node, images[0].StudyInstanceUID, "INELIGIBLE")
        assert study["rule"] == "demonstration_package"
        assert "inference.demonstration_on_patients" in study["reason"]
        wait_until(lambda: "inference.demonstration_on_patients" in node.log(), 60)
    with settings_path.open("a") as file:
        file.write("demonstration_on_patients = true\n")
    told = run_glam_node(
        "analyse", str(tmp_path / "images"), "--out", str(tmp_path / "out"), settings_path=settings_path, expect=1
    )
    assert "demonstration_package: " not in told
    assert "The pixel spacing is" in told, "the images went as far as the model"
