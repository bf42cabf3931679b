"""Inference by the site's settings: package, runtime, thresholds and overlap, with workers that crash or fail."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from glam_node.inference.card import DEFAULT_PACKAGE
from glam_node.inference.phantom import make_exam
from glam_node.inference.route_record import RECORD_FILE
from tests.integration.node_directory import REPOSITORY
from tests.integration.redis_server import redis_server
from tests.integration.worker import predictors
from tests.ports import free_port
from tests.preloaded import Popen
from tests.system.node_process import GLAM_NODE, run_glam_node
from tests.system.site import Site, folder, objects, running, running_site, write, written_site
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.peer("redis-server"), pytest.mark.timeout(300)]

POINTS = {
    "image_score_threshold": 0.31,
    "local_saliency_threshold": 0.32,
    "global_saliency_threshold": 0.33,
    "minimum_area_px": 34,
}
SCALE = {"slope": 1.25, "intercept": -0.75}
RUNS = [
    ("auto", "exact", "positive"),
    ("torch", "fast", "always"),
    ("openvino", "exact", "always"),
    ("ncnn", "exact", "always"),
]


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one view with a lesion to a file."""
    path = tmp_path_factory.mktemp("view") / "view.dcm"
    make_exam(7, rows=832, columns=640)[0].dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the number of threads after each test, since commands in this process set it by inference.threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def configured(directory: Path, **inference: object) -> Site:
    """Write the settings of a machine that only analyses files."""
    site = Site(directory / "node.toml", 0)
    write(site.path, {"inference": {"package": DEFAULT_PACKAGE, "device": "cpu", "threads": 1, **inference}})
    return site


@pytest.mark.features(
    *("inference.package", "inference.operating_points.*", "inference.calibration.*", "glam-node analyse"),
)
def test_results_state_the_package_thresholds_and_calibration_of_the_site(view: Path, tmp_path: Path) -> None:
    kinds = ("benign", "malignant")
    own = shutil.copytree(DEFAULT_PACKAGE, tmp_path / "package")
    package = (own / "package.toml").read_text()
    version = re.search(r'algorithm_version = "([^"]+)"', package)
    assert version
    (own / "package.toml").write_text(package.replace(version[0], 'algorithm_version = "of the site"'))
    site = configured(
        tmp_path,
        package=own,
        operating_points={kind: POINTS for kind in kinds},
        calibration={kind: SCALE for kind in kinds},
    )
    site.command("analyse", str(view), "--out", str(tmp_path / "out"))
    (report,) = (one for one in objects(tmp_path / "out") if one.Modality == "SR")
    texts = {element.value for element in report.iterall() if element.keyword == "TextValue"}
    values = {**POINTS, "calibration_slope": SCALE["slope"], "calibration_intercept": SCALE["intercept"]}
    assert texts >= {"of the site", *(f"{kind}.{name} = {value:g}" for kind in kinds for name, value in values.items())}


@pytest.mark.features(
    *("inference.device", "inference.threads", "inference.runtime", "inference.runtime = *", "inference.precision"),
    *("inference.precision = *", "inference.segment", "inference.segment = *", "glam-node model time"),
)
def test_the_model_runs_by_the_runtime_that_the_site_chooses(tmp_path: Path) -> None:
    package = tiny_package(tmp_path).path
    for runtime, precision, segment in RUNS:
        site = configured(tmp_path, package=package, runtime=runtime, precision=precision, segment=segment)
        told = site.command("model", "time", "--json", "--studies", "1", "--rows", "1216", "--columns", "928")
        timing = json.loads(told)
        assert (timing["device"], timing["threads"], timing["segment"]) == ("cpu", 1, segment)
        assert runtime == "auto" or runtime in timing["model"]


def is_ready(site: Site, starts: int) -> bool:
    """Return whether the worker is ready after so many starts of the node."""
    return site.log().count("worker_ready") == starts


def test_a_worker_measures_the_routes_once_and_doctor_says_which_is_in_force(tmp_path: Path) -> None:
    package = tiny_package(tmp_path / "package").path
    inference = {"predictor": None, "package": package, "device": "cpu", "threads": 1}
    site = written_site(tmp_path, {"inference": inference})
    kept = []
    for start in (1, 2):
        with running(site):
            wait_until(partial(is_ready, site, start), told=site.log)
        (entry,) = json.loads((site.storage / RECORD_FILE).read_text())["entries"]
        kept.append(entry["measurement"])
    assert kept[0] == kept[1] or kept[0]["disturbed"]
    told = json.loads(run_glam_node("doctor", "--json", settings_path=site.path))
    (doctor,) = (line["fact"] for line in told if line["check"] == "route")
    shown = json.loads(run_glam_node("model", "time", "--routes", "--json", settings_path=site.path))
    assert shown["measurement"] == kept[1] or kept[1]["disturbed"]
    assert doctor == f"{shown['route']}: {shown['reason']}" or kept[1]["disturbed"]
    for text in (doctor, site.log()):
        assert "measured on 20" in text
        assert "local network: torch " in text
    table = run_glam_node("model", "time", "--routes", "--again", settings_path=site.path)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "| float32" in line]
    assert {row[0] for row in rows if row[-1] == "yes"} == {"global", "local"}
    (entry,) = json.loads((site.storage / RECORD_FILE).read_text())["entries"]
    assert entry["measurement"] != kept[1]


@dataclass
class Place:
    """A node whose workers run on other hosts."""

    site: Site
    hold: Path

    @contextmanager
    def worker(self, predictor: type, **inference: object) -> Iterator[subprocess.Popen[bytes]]:
        """Run `glam-node worker` with this predictor and these settings."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("GLAM_NODE")}
        settings = {"PREDICTOR": f"{predictor.__module__}:{predictor.__name__}", **inference}
        environment |= {f"GLAM_NODE__INFERENCE__{name}": str(value) for name, value in settings.items()}
        environment |= {"HOLD": str(self.hold), "PYTHONPATH": str(REPOSITORY)}
        with (self.site.path.parent / "worker.log").open("ab") as log:
            command = [str(GLAM_NODE), "--settings", str(self.site.path), "worker"]
            process = Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("site")
    port, socket_path = free_port(), root / "redis.sock"
    settings = {
        "broker_url": f"redis+socket://{socket_path}",
        "destinations": {"folder": folder(root / "folder")},
        "inference": {"lease_time": 4.0, "maximum_attempts": 2},
    }
    with redis_server(root, port, "--unixsocket", str(socket_path)), running_site(root, settings) as site:
        yield Place(site, root / "hold")


def jobs(site: Site, studies: list[str]) -> list[dict[str, Any]]:
    """Return the only job of each study, in the order in which they were started."""
    return sorted((site.wait_for(study)["jobs"][0] for study in studies), key=lambda job: str(job["started_at"]))


@pytest.mark.features("inference.overlap", "inference.overlap = *", "broker_url = redis+socket")
def test_a_worker_reads_the_next_study_while_one_is_on_its_device_where_the_site_says_so(place: Place) -> None:
    overlapped = {}
    for number, overlap in enumerate(("auto", "always", "never")):
        predictor = predictors.SlowDevicePredictor if overlap == "auto" else predictors.OneDevicePredictor
        with place.worker(predictor, OVERLAP=overlap):
            studies = [place.site.send_exam(760 + 2 * number + one) for one in range(2)]
            first, second = jobs(place.site, studies)
        overlapped[overlap] = second["started_at"] < first["finished_at"]
    assert overlapped == {"auto": False, "always": True, "never": False}


@pytest.mark.features("inference.lease_time", "inference.predictor")
def test_the_job_of_a_worker_that_gives_no_sign_of_life_goes_to_another(place: Place) -> None:
    place.hold.touch()
    with place.worker(predictors.HeldPredictor) as doomed:
        study = place.site.send_exam(781)
        wait_until(lambda: [job["state"] for job in place.site.study(study)["jobs"]] == ["RUNNING"])
        doomed.send_signal(signal.SIGKILL)
    place.hold.unlink()
    with place.worker(predictors.HeldPredictor):
        (job,) = jobs(place.site, [study])
    assert job["attempt"] == 2


@pytest.mark.features("inference.maximum_attempts", "glam-node study retry")
def test_a_job_that_always_fails_is_given_up_after_the_attempts_of_the_site(place: Place) -> None:
    place.hold.touch()
    study = place.site.send_exam(782)

    def job() -> dict[str, Any]:
        return dict(*place.site.study(study)["jobs"])

    with place.worker(predictors.FailingPredictor):
        wait_until(lambda: bool(place.site.study(study)["jobs"]) and job()["state"] == "FAILED", told=place.site.log)
        assert job()["attempt"] == 2
        place.hold.unlink()
        place.site.command("retry", study)
        place.site.wait_for(study)
