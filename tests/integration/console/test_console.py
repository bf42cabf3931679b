"""Pages, metrics and health of a real node over real HTTP."""

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.app import create_console
from glam_node.node.observe.metrics import METRICS
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.destinations import CStoreSettings
from glam_node.settings.schema import NodeSettings, Settings, StorageSettings
from tests.integration.console.browser import listening
from tests.ports import free_port
from tests.unit.workflow.workbench import Workbench


class Console:
    """A listening console."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
        """Return status and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def text(self, path: str) -> str:
        """Return the body of a page, after checking its status."""
        status, body = self.get(path)
        assert status == 200, body
        return body.decode()


@contextmanager
def console_of(node: Node, host: str = "127.0.0.1") -> Iterator[Console]:
    with listening(create_console(node, host)) as port:
        yield Console(port)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return a node with an archive and no running receiver."""
    return build_node(
        Settings(
            node=NodeSettings(port=free_port()),
            storage=StorageSettings(root=tmp_path / "root", minimum_free_bytes=0),
            destinations={"archive": CStoreSettings()},
            console=ConsoleSettings(port=1),
            broker_url="redis://127.0.0.1:1/0",
        )
    )


@pytest.fixture
def bench(node: Node) -> Workbench:
    """Return a workbench that does the work of the node's processes."""
    return Workbench(node.sessions, node.store, ThresholdPredictor(ThresholdPredictor.built_in_package()))


@pytest.fixture
def console(node: Node) -> Iterator[Console]:
    with console_of(node) as running:
        yield running


@pytest.fixture(scope="module")
def exam() -> list[Dataset]:
    return [view.dataset for view in make_exam(3, rows=208, columns=160)]


def values(console: Console) -> dict[str, float]:
    """Return the samples by name and labels."""
    lines = [line for line in console.text("/metrics").splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_every_declared_metric_is_shown_with_its_meaning(console: Console) -> None:
    text = console.text("/metrics")
    shown = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    assert shown == {metric.name: metric.meaning for metric in METRICS}


def test_metrics_follow_the_states_of_a_study(console: Console, bench: Workbench, exam: list[Dataset]) -> None:
    assert values(console)["glam_node_last_image_seconds"] == -1
    job = bench.submitted(*exam)
    waiting = values(console)
    assert waiting['glam_node_studies{state="SUBMITTED"}'] == 1
    assert waiting['glam_node_jobs{state="PENDING"}'] == 1
    assert waiting["glam_node_oldest_unfinished_job_seconds"] > 0
    bench.run(job)
    done = values(console)
    assert done['glam_node_jobs{state="SUCCEEDED"}'] == 1
    assert done["glam_node_oldest_unfinished_job_seconds"] == 0
    assert done['glam_node_oldest_pending_delivery_seconds{destination="archive"}'] > 0


def test_a_node_that_is_not_ready_is_alive_and_names_the_missing_part(node: Node, console: Console) -> None:
    assert console.get("/healthz") == (200, b"ok\n")
    status, body = console.get("/readyz")
    facts = json.loads(body)
    assert status == 503
    assert {name: fact["ok"] for name, fact in facts.items()} == {
        "database": True,
        "storage": True,
        "broker": False,
        "receiver": False,
    }
    with socket.create_server(("127.0.0.1", node.settings.node.port)):
        assert json.loads(console.get("/readyz")[1])["receiver"]["ok"]


def test_a_study_has_a_page_with_its_views_results_and_timeline(
    console: Console, bench: Workbench, exam: list[Dataset]
) -> None:
    bench.run(bench.submitted(*exam))
    uid = exam[0].StudyInstanceUID
    assert f'href="/studies/{uid}"' in console.text("/")
    page = console.text(f"/studies/{uid}")
    for words in ("REPORTED", "L MLO with", "archive", "handed to delivery", "UNTRAINED"):
        assert words in page
    assert len(re.findall(r"<img class=.grey. ", page)) == 4


def test_the_list_marks_a_study_that_was_analysed_without_a_view(
    console: Console, bench: Workbench, exam: list[Dataset]
) -> None:
    black = deepcopy(exam)
    black[1].PixelData = bytes(len(black[1].PixelData))
    bench.run(bench.submitted(*black))
    assert "1 of 4 views not analysed" in console.text("/")
    assert ",1 of 4 views not analysed," in console.text("/studies.csv")


def test_no_page_shows_name_id_or_birth_date(console: Console, bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(*exam))
    pages = console.text("/") + console.text(f"/studies/{exam[0].StudyInstanceUID}") + console.text("/metrics")
    for keyword in ("PatientID", "PatientBirthDate", "AccessionNumber"):
        assert str(exam[0][keyword].value) not in pages
    assert "PHANTOM" not in pages


def test_a_picture_shows_the_stored_segments(
    console: Console, bench: Workbench, exam: list[Dataset], tmp_path: Path
) -> None:
    bench.run(bench.submitted(*exam))
    image = next(image for image in exam if image.ImageLaterality == "L")
    path = f"/studies/{image.StudyInstanceUID}/{image.SOPInstanceUID}/captioned.png"
    (tmp_path / "view.png").write_bytes(console.get(path)[1])
    with Image.open(tmp_path / "view.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=int)[: image.Rows]
    assert np.count_nonzero(np.ptp(pixels, axis=2) > 60) > 20


@pytest.mark.parametrize(
    "path",
    ["/studies/1.2.3", "/studies/..%2f..", "/studies/1.2.3/4.5.6/grey.png", "/studies/1.2/..%2f..%2fx/grey.png", "/x"],
)
def test_a_missing_page_is_not_found(console: Console, path: str) -> None:
    assert console.get(path)[0] == 404


def test_a_request_to_another_host_name_is_refused(console: Console) -> None:
    assert console.get("/", host="evil.example")[0] == 400


def test_a_console_without_tls_on_a_network_has_metrics_and_health_and_no_pages(node: Node) -> None:
    with console_of(node, "0.0.0.0") as console:
        assert console.get("/metrics")[0] == console.get("/healthz")[0] == 200
        assert console.get("/")[0] == console.get("/studies/1.2.3")[0] == 404


def test_security_headers_forbid_features_that_pages_do_not_need(console: Console) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{console.port}/", timeout=30) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
