"""Tests of the race between routes, by a clock that only the routes advance, and of a real measurement."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.route_timing import Contender, measure_routes, race
from glam_node.inference.glam.routes import open_routes
from glam_node.inference.glam.stopwatch import MachineBusy, Stopwatch, waited_s
from glam_node.inference.glam.weights import load_network
from glam_node.inference.options import Precision, RunOptions, Runtime
from glam_node.inference.route_record import GLOBAL, LOCAL
from tests.unit.inference.glam.tiny_package import tiny_package

INPUTS = torch.zeros(1, 1, 512, 512)


class Track:
    """Contenders whose calls take given times; a call with a corner of the input takes a sixteenth."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def watch(self, share_waited: float = 0.0) -> Stopwatch:
        """Return a watch that shows the time of all calls, of which two threads each waited this share."""
        return Stopwatch(2, lambda: self.now, lambda: 2 * share_waited * self.now)

    def contender(self, name: str, *seconds: float, error: float = 0.0, failure: Exception | None = None) -> Contender:
        """Return a contender whose whole calls take `seconds`, the last of them again and again."""
        whole = list(seconds)

        def run(inputs: Tensor) -> Sequence[Tensor]:
            self.calls.append(name)
            if failure:
                raise failure
            if inputs.numel() < INPUTS.numel():
                self.now += whole[0] / 16
            else:
                self.now += whole.pop(0) if len(whole) > 1 else whole[0]
            return (torch.full((1,), error),)

        return Contender(name, "float32", lambda: run, (1e-4,))


@pytest.fixture
def track() -> Track:
    return Track()


def test_the_contenders_take_turns_in_changing_order(track: Track) -> None:
    names = ["a", "b"]
    race([track.contender(name, 0.1) for name in names], INPUTS, track.watch())
    assert track.calls[:10] == ["a", "b"] * 2 + ["a", "b"] + ["a", "b"] + ["b", "a"]
    assert track.calls.count("a") == track.calls.count("b")


def test_a_route_that_is_much_slower_never_computes_a_whole_input(track: Track) -> None:
    first, slow = track.contender("first", 1.0), track.contender("slow", 4.0)
    race([first, slow], INPUTS, track.watch())
    assert slow.seconds == {INPUTS.numel() // 16: [0.25, 0.25]}
    assert not slow.failure


def test_a_slow_first_route_stays_until_the_others_are_compared_with_it(track: Track) -> None:
    first, fast, wrong = track.contender("first", 9.0), track.contender("b", 1.0), track.contender("c", 1.0, error=1.0)
    race([first, fast, wrong], INPUTS, track.watch())
    assert len(first.seconds[INPUTS.numel()]) == 1
    assert wrong.failure == "It differs from torch by 1.0e+00, more than 1.0e-04."


def test_the_race_ends_within_a_few_seconds_even_on_a_slow_machine(track: Track) -> None:
    race([track.contender("a", 1.2), track.contender("b", 1.3)], INPUTS, track.watch())
    assert track.now < 6.0
    track.now = 0.0
    race([track.contender("a", 6.0), track.contender("b", 7.0)], INPUTS, track.watch())
    assert track.now < 15.0


def test_a_failing_route_drops_out_with_its_failure(track: Track) -> None:
    broken = track.contender("broken", failure=MemoryError("no memory"))
    race([track.contender("first", 0.1), broken], INPUTS, track.watch())
    assert broken.failure == "It failed: MemoryError: no memory"
    assert track.calls.count("broken") == 1


def test_a_result_that_is_no_number_is_out_of_tolerance(track: Track) -> None:
    wrong = track.contender("wrong", 0.1, error=float("nan"))
    race([track.contender("first", 0.1), wrong], INPUTS, track.watch())
    assert "differs from torch by nan" in wrong.failure


def test_the_race_fails_with_its_first_route(track: Track) -> None:
    with pytest.raises(RuntimeError, match="first cannot compute the network"):
        race([track.contender("first", failure=RuntimeError("no"))], INPUTS, track.watch())


@pytest.mark.parametrize(
    ("times", "other", "disturbed"),
    [
        ([1.0, 1.0, 1.02], 1.2, False),
        ([0.1, 0.1, 0.15, 0.15, 0.15, 0.15], 0.12, True),
        ([0.1, 0.1, 0.15, 0.15, 0.15, 0.15], 0.4, False),
    ],
)
def test_times_that_vary_more_than_the_routes_differ_were_disturbed(
    times: list[float], other: float, disturbed: bool, track: Track
) -> None:
    assert race([track.contender("a", *times), track.contender("b", other)], INPUTS, track.watch()) is disturbed


@pytest.mark.parametrize(("share", "other", "disturbed"), [(0.0, 1.5, False), (0.2, 1.5, True), (0.2, 3.0, False)])
def test_threads_that_waited_for_a_processor_were_disturbed_unless_the_times_differ_clearly(
    share: float, other: float, disturbed: bool, track: Track
) -> None:
    assert race([track.contender("a", 1.0), track.contender("b", other)], INPUTS, track.watch(share)) is disturbed


def test_a_race_on_a_busy_machine_is_given_up_after_ten_seconds(track: Track) -> None:
    with pytest.raises(MachineBusy, match="other programs keep the processor busy"):
        race([track.contender("a", 11.0), track.contender("b", 12.0)], INPUTS, track.watch(0.5))
    assert track.calls == ["a", "b", "a", "b", "a"], "two calls each with the corner, one with the whole input"


def test_threads_that_share_a_processor_wait_for_it(tmp_path: Path) -> None:
    for name, text in (("1", "5 2000000000 1"), ("2", "5 1000000000 1"), ("3", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(f"{text}\n")
    (tmp_path / "4").mkdir()
    assert waited_s(tmp_path) == 3.0
    assert waited_s(tmp_path / "missing") == 0.0


def test_a_measurement_states_all_open_routes_and_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    network = fold_for_inference(load_network(tiny_package(tmp_path)))
    before = {name: type(module) for name, module in network.named_modules()}
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    routes = open_routes(RunOptions(Precision.FAST, Runtime.AUTO), torch.device("cpu"))
    measurement = measure_routes(network, routes, threads=1)
    assert [one.runtime for one in measurement.of(GLOBAL)] == [one.runtime for one in routes.for_global]
    assert [one.runtime for one in measurement.of(LOCAL)] == [one.local_runtime for one in routes.for_local]
    assert all(one.seconds is not None and one.seconds > 0 for one in measurement.times), measurement
    assert {one.failure for one in measurement.times if one.number_format == "float32"} == {""}
    assert {name: type(module) for name, module in network.named_modules()} == before
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights[name])
