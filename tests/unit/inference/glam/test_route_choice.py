"""Tests of the choice of the route: when it is measured, what is kept, and what happens when that fails."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from glam_node.inference.glam import route_choice
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.glam.route_choice import choose_route
from glam_node.inference.glam.routes import Route, fixed_route
from glam_node.inference.glam.stopwatch import MachineBusy
from glam_node.inference.glam.weights import load_network
from glam_node.inference.options import Measure, Precision, RunOptions, Runtime
from glam_node.inference.package import ModelPackage
from glam_node.inference.route_record import GLOBAL, LOCAL, RouteMeasurement, RouteTime
from tests.unit.inference.glam.tiny_package import tiny_package

CPU = torch.device("cpu")
TORCH, OPENVINO, NCNN = Runtime.TORCH, Runtime.OPENVINO, Runtime.NCNN
MEASURED = RouteMeasurement(
    "2026-11-30T12:00:00+00:00",
    1.0,
    1,
    False,
    (
        RouteTime(GLOBAL, TORCH, "float32", 0.2),
        RouteTime(GLOBAL, OPENVINO, "float32", 0.1),
        RouteTime(LOCAL, TORCH, "float32", 1.0),
        RouteTime(LOCAL, NCNN, "float32", 2.0),
    ),
)


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    return tiny_package(tmp_path / "package")


@pytest.fixture
def network(package: ModelPackage) -> Glam:
    return fold_for_inference(load_network(package))


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return RunOptions(runtime=Runtime.AUTO, measure=Measure.ONCE, route_record=tmp_path / "routes.json")


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[int]]:
    """Return a function that replaces the measurement by a result or failure and returns a list of all calls."""

    def give(result: RouteMeasurement | BaseException) -> list[int]:
        calls: list[int] = []

        def measured(*_: object) -> RouteMeasurement:
            calls.append(1)
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(route_choice, "measure_routes", measured)
        return calls

    return give


Measures = Callable[[Any], list[int]]


def test_a_worker_measures_once_and_takes_the_fastest_route_of_each_network(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    calls = measures(MEASURED)
    for measure in (Measure.ONCE, Measure.ONCE, Measure.NEVER):
        route, decision = choose_route(network, package, replace(options, measure=measure), CPU)
        assert route == Route(OPENVINO, TORCH)
        assert "global network: torch 0.2 s, openvino 0.1 s; local network: torch 1 s, ncnn 2 s" in decision.reason
    assert len(calls) == 1
    choose_route(network, package, replace(options, measure=Measure.AGAIN), CPU)
    assert len(calls) == 2


def test_a_measurement_of_a_package_loads_the_predictor_by_its_route(
    package: ModelPackage, options: RunOptions
) -> None:
    first = GlamPredictor.from_package(package, "cpu", options)
    again = GlamPredictor.from_package(package, "cpu", replace(options, measure=Measure.NEVER))
    assert first.route_decision is not None and first.route_decision.measurement is not None
    assert again.route_decision is not None
    assert (again.route, again.route_decision.measurement) == (first.route, first.route_decision.measurement)


@pytest.mark.parametrize("changed", ["processor", "library", "threads", "weights", "shape", "precision"])
def test_another_machine_package_or_version_is_measured_again(
    changed: str,
    network: Glam,
    package: ModelPackage,
    options: RunOptions,
    measures: Measures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = measures(MEASURED)
    choose_route(network, package, options, CPU)
    if changed == "processor":
        monkeypatch.setattr(route_choice, "processor_identity", lambda: "another")
    if changed == "library":
        monkeypatch.setattr(route_choice, "version", lambda _: "9.9")
    if changed == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    package = replace(package, weights_sha256="0" * 64) if changed == "weights" else package
    package = replace(package, shape=package.shape | {"reduction": 4}) if changed == "shape" else package
    options = replace(options, precision=Precision.FAST) if changed == "precision" else options
    choose_route(network, package, options, CPU)
    assert len(calls) == 2


def test_the_order_is_fixed_without_a_measurement(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    calls = measures(MEASURED)
    unmeasured = replace(options, measure=Measure.NEVER)
    route, decision = choose_route(network, package, unmeasured, CPU)
    assert (route, calls) == (fixed_route(unmeasured, CPU), [])
    assert "no measurement is kept" in decision.reason


@pytest.mark.parametrize("runtime", [TORCH, NCNN])
def test_a_runtime_that_the_settings_name_is_not_measured(
    runtime: Runtime, network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    calls = measures(MEASURED)
    route, decision = choose_route(network, package, replace(options, runtime=runtime), CPU)
    assert (route.local_runtime, calls) == (runtime, [])
    assert decision.reason == f'the only one for inference.runtime = "{runtime}" and inference.precision = "exact"'


def test_a_measurement_that_fails_leaves_torch_and_is_tried_again(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    measures(RuntimeError("no luck"))
    route, decision = choose_route(network, package, options, CPU)
    assert route == Route(TORCH)
    assert "could not be measured (RuntimeError: no luck)" in decision.problem
    calls = measures(MEASURED)
    assert choose_route(network, package, options, CPU)[0] == Route(OPENVINO, TORCH)
    assert len(calls) == 1


def test_a_busy_machine_keeps_the_route_of_a_disturbed_measurement_or_takes_torch(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    measures(MachineBusy("other programs keep the processor busy"))
    route, decision = choose_route(network, package, options, CPU)
    assert route == Route(TORCH)
    assert "other programs keep the processor busy" in decision.problem
    measures(replace(MEASURED, disturbed=True))
    _, disturbed = choose_route(network, package, options, CPU)
    calls = measures(MachineBusy("other programs keep the processor busy"))
    assert choose_route(network, package, options, CPU) == (Route(OPENVINO, TORCH), disturbed)
    assert choose_route(network, package, options, CPU) == (Route(OPENVINO, TORCH), disturbed)
    assert len(calls) == 2


def test_measurements_that_end_their_process_are_given_up(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    calls = measures(KeyboardInterrupt())
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            choose_route(network, package, options, CPU)
    for measure in (Measure.ONCE, Measure.NEVER):
        route, decision = choose_route(network, package, replace(options, measure=measure), CPU)
        assert (route, len(calls)) == (Route(TORCH), 5)
        assert "5 measurements ended with their process" in decision.problem


def test_a_disturbed_measurement_is_used_but_made_again_at_the_next_start(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    calls = measures(replace(MEASURED, disturbed=True))
    assert "next start of a worker measures again" in choose_route(network, package, options, CPU)[1].reason
    assert choose_route(network, package, replace(options, measure=Measure.NEVER), CPU)[0] == Route(OPENVINO, TORCH)
    assert len(calls) == 1
    choose_route(network, package, options, CPU)
    assert len(calls) == 2


def test_a_record_of_a_route_that_is_not_open_is_measured_again(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    measures(replace(MEASURED, times=(*MEASURED.times[:2], RouteTime(LOCAL, "abacus", "float32", 1.0))))
    assert choose_route(network, package, options, CPU)[0] == Route(TORCH)
    calls = measures(MEASURED)
    assert choose_route(network, package, options, CPU)[0] == Route(OPENVINO, TORCH)
    assert len(calls) == 1


def test_a_route_out_of_tolerance_is_never_chosen_and_is_named(
    network: Glam, package: ModelPackage, options: RunOptions, measures: Measures
) -> None:
    wrong = replace(MEASURED.times[1], failure="It differs from torch by 1.0e-03, more than 2.0e-06.")
    measures(replace(MEASURED, times=(MEASURED.times[0], wrong, *MEASURED.times[2:])))
    route, decision = choose_route(network, package, options, CPU)
    assert route == Route(TORCH)
    assert decision.problem == f"The global network by openvino in float32 is never chosen. {wrong.failure}"


START = """
import sys
from pathlib import Path
from glam_node.inference import Measure, RunOptions, Runtime, load_model
options = RunOptions(runtime=Runtime.AUTO, measure=Measure.ONCE, route_record=Path(sys.argv[2]))
print(load_model(sys.argv[1], "cpu", options).route_decision.measurement.measured_at)
"""


def test_two_workers_that_start_at_once_both_find_a_route(package: ModelPackage, tmp_path: Path) -> None:
    record = tmp_path / "routes.json"
    command = [sys.executable, "-c", START, str(package.path), str(record)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [worker.communicate(timeout=200)[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    (entry,) = json.loads(record.read_text())["entries"]
    assert entry["measurement"]["measured_at"] in told
    assert [path.name for path in tmp_path.glob("*.json*")] + [path.name for path in tmp_path.glob(".*")] == [
        record.name
    ]
