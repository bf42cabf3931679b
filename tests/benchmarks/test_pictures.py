"""The pictures of a study: drawn at the first visit of its page, and given as they were kept at the next."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.bootstrap import build_node
from glam_node.node.console.app import create_console
from glam_node.settings.destinations import DestinationSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.integration.console.browser import Browser, listening
from tests.unit.workflow.workbench import Workbench

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

LEAST_RATIO = 10.0
"""Of the first visit's time and the second's, both over HTTP."""


def seconds(visit: Callable[[], object]) -> float:
    started = time.perf_counter()
    visit()
    return time.perf_counter() - started


def test_the_second_visit_of_a_study_draws_nothing(tmp_path: Path) -> None:
    destinations = {"archive": DestinationSettings(host="10.0.0.9")}
    node = build_node(Settings(storage=StorageSettings(root=tmp_path), destinations=destinations))
    bench = Workbench(node.sessions, node.store, ThresholdPredictor(ThresholdPredictor.built_in_package()))
    exam = [view.dataset for view in make_exam(3, rows=3328, columns=2560)]
    assert bench.run(bench.submitted(*exam))
    names = [f"/studies/{one.StudyInstanceUID}/{one.SOPInstanceUID}" for one in exam]
    paths = [f"{name}/{layer}.png" for name in names for layer in ("grey", "segments")]
    with listening(create_console(node, "127.0.0.1")) as port:
        browser = Browser(port)

        def visit() -> list[bytes]:
            return [browser.open(path).read() for path in paths]

        first, second = seconds(visit), min(seconds(visit) for _ in range(5))
        print(
            f"\n{len(paths)} pictures: first visit {first:.2f} s, later {second * 1000:.0f} ms: {first / second:.0f} x"
        )
    assert first / second > LEAST_RATIO
