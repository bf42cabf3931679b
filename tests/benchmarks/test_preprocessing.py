"""Speed of preprocessing a stored view: ratio to the published method implemented plainly, in one run.

Asserted: preprocessing is faster than the plain method, and with the guard it takes less time than the forward pass by
torch. The ratios depend on the processor, so the report shows them. Limits that were asserted earlier: ten times as
fast, and a tenth of a forward pass, which AMX makes shorter.
"""

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
from tests.benchmarks.conftest import Record
from tests.networks import along
from tests.reference.preprocessing import window_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

ROUNDS = 5


def window_alone(mammogram: Mammogram) -> object:
    """Crop, centre, cut and standardise, without guard, tissue mask and remarks."""
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


def test_preprocessing_of_a_study(figure: Record) -> None:
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
    for name in ("window", "with guard"):
        figure(f"{name}, as fast as plain", "times", seconds["plain"] / seconds[name])
        figure(f"{name}, of a forward pass by torch", "times", seconds[name] / forward)
        figure(f"{name}, of a negative view's by OpenVINO", "times", seconds[name] / negative)
    assert seconds["window"] < seconds["plain"]
    assert seconds["with guard"] < forward
