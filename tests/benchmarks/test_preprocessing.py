"""How fast a stored view becomes the network's input: ratio against the published method done plainly, in one run."""

import time
from collections.abc import Callable
from functools import partial

import pytest
import torch

from glam_node.inference.glam.breast import locate_breast
from glam_node.inference.glam.orientation import Orientation
from glam_node.inference.glam.preprocessing import place, prepare
from glam_node.inference.glam.routes import Route
from glam_node.inference.glam.weights import seeded_state_dict
from glam_node.inference.glam.window import standardise
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.options import Runtime
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from tests.networks import along
from tests.reference.preprocessing import window_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

ROUNDS = 5
LEAST_RATIO = 10.0
"""Of the published method done plainly, which has no guard, over the same without one."""
LARGEST_SHARE = 0.1
"""Of preprocessing with the guard, of the forward pass of a positive view by torch."""


def window_alone(mammogram: Mammogram) -> object:
    """Crop, centre, cut and standardise, without guard, tissue and remarks."""
    orientation = Orientation(mammogram.image_laterality is Laterality.LEFT)
    solid = locate_breast(mammogram.pixels).solid
    placement = place(mammogram.pixels, solid, mammogram.view_position, orientation)
    return standardise(placement.geometry, mammogram.pixels)


def plain(mammogram: Mammogram) -> object:
    points_right = mammogram.image_laterality is Laterality.LEFT
    return window_of(mammogram.pixels, points_right, mammogram.view_position is ViewPosition.MLO)


def least_seconds(run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def test_preprocessing_of_a_study() -> None:
    exam = [read_mammogram(view.dataset) for view in make_exam(1)]
    methods: dict[str, Callable[[Mammogram], object]] = {"plain": plain, "window": window_alone, "with guard": prepare}
    seconds = {
        name: sum(least_seconds(partial(method, view)) for view in exam) / len(exam) for name, method in methods.items()
    }
    window = torch.from_numpy(prepare(exam[0]).window)[None, None]
    state = seeded_state_dict(128)[0]
    torch_network, openvino_network = (
        along(Route(runtime), state, torch.get_num_threads()) for runtime in (Runtime.TORCH, Runtime.OPENVINO)
    )
    with torch.inference_mode():
        forward = least_seconds(lambda: torch_network(window))
        negative = least_seconds(lambda: openvino_network.global_network(window))
    print(f"\nseconds a view {seconds}; forward by torch {forward:.2f} s, negative by OpenVINO {negative:.2f} s")
    for name in ("window", "with guard"):
        print(
            f"{name}: {seconds['plain'] / seconds[name]:.1f} x plain, {seconds[name] / forward:.1%} of forward, "
            f"{seconds[name] / negative:.1%} of that of a negative view by OpenVINO"
        )
    assert seconds["plain"] / seconds["window"] >= LEAST_RATIO
    assert seconds["with guard"] / forward <= LARGEST_SHARE
