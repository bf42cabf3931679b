"""Tests of views on a device: batch size, one caller at a time, and a device that runs out of memory or is lost.

On machines without a GPU, its memory is simulated by a limit where windows are copied to the device, which raises the
error that torch raises.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glam_node.inference.errors import DeviceUnavailable
from glam_node.inference.findings import ImageFindings
from glam_node.inference.glam import forward as looking
from glam_node.inference.glam import route_choice
from glam_node.inference.glam.device import full_precision, on_device
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.glam.routes import NarrowLocalNetwork, Route
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import Precision, RunOptions, Runtime, Segment
from glam_node.inference.package import ModelPackage
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.unit.inference.glam.views import half_ellipse, view_of

GPU = torch.device("cuda")
ALWAYS = RunOptions(segment=Segment.ALWAYS)
BREAST = half_ellipse((900, 600), 800, 500)
STUDY = [view_of(np.roll(BREAST, number, axis=0), uid=f"2.25.{number}") for number in range(5)]

Windows = Sequence[NDArray[np.float32]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return tiny_package(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def expected(package: ModelPackage) -> list[ImageFindings]:
    """Return the findings of the views, analysed one after the other on the CPU."""
    return GlamPredictor.from_package(package, "cpu", ALWAYS).segment(STUDY)


Holding = Callable[..., tuple[GlamPredictor, list[int]]]


@pytest.fixture
def holding(package: ModelPackage, monkeypatch: pytest.MonkeyPatch) -> Holding:
    """Return a function that makes a predictor on a GPU with room for `views`, and the list of its batch sizes."""

    def on_gpu(views: int, *, falls_back: bool = False) -> tuple[GlamPredictor, list[int]]:
        shown: list[int] = []

        def arrive(windows: Windows, device: torch.device) -> torch.Tensor:
            shown.append(len(windows))
            if device.type == "cuda" and len(windows) > views:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90.00 MiB.")
            return on_device(windows, torch.device("cpu"))

        monkeypatch.setattr(looking, "on_device", arrive)
        predictor = GlamPredictor.from_package(package, "cpu", ALWAYS)
        looker = predictor._looker
        looker.device, looker.batch_size, looker.falls_back = GPU, 4, falls_back
        return predictor, shown

    return on_gpu


def same(results: list[ImageFindings], expected: list[ImageFindings]) -> bool:
    """Return whether the scores agree within float32 rounding, and the numbers of findings are equal."""
    return [image.sop_instance_uid for image in results] == [image.sop_instance_uid for image in expected] and all(
        image.malignant_score == pytest.approx(other.malignant_score, abs=2e-6)
        and len(image.findings) == len(other.findings)
        for image, other in zip(results, expected, strict=True)
    )


@pytest.mark.parametrize(
    ("views", "shown"), [(4, [4, 1]), (3, [4, 2, 2, 1]), (2, [4, 2, 2, 1]), (1, [4, 2, 1, 1, 1, 1, 1])]
)
def test_batches_are_halved_until_they_fit_and_stay_small(
    holding: Holding, expected: list[ImageFindings], views: int, shown: list[int]
) -> None:
    predictor, seen = holding(views)
    assert same(predictor.segment(STUDY), expected)
    assert seen == shown
    seen.clear()
    predictor.segment(STUDY[:4])
    assert max(seen) <= views, "what does not fit is not tried again"


def test_auto_continues_on_the_cpu_when_one_view_does_not_fit(holding: Holding, expected: list[ImageFindings]) -> None:
    predictor, shown = holding(0, falls_back=True)
    assert predictor.waits_for_a_device
    assert same(predictor.segment(STUDY), expected)
    assert shown == [4, 2, 1, 1, 1, 1, 1, 1]
    assert predictor.route.startswith("cpu")
    assert not predictor.waits_for_a_device


def test_a_network_with_narrow_weights_continues_on_the_cpu_in_float32(
    package: ModelPackage, expected: list[ImageFindings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_choice, "fixed_route", lambda *_: Route(Runtime.TORCH, Runtime.TORCH, torch.bfloat16))
    options = RunOptions(Precision.FAST, Runtime.TORCH, Segment.ALWAYS)
    predictor = GlamPredictor.from_package(package, "cpu", options)
    looker = predictor._looker
    assert NarrowLocalNetwork in [type(module) for module in looker.network.modules()]

    def arrive(windows: Windows, device: torch.device) -> torch.Tensor:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90.00 MiB.")
        return on_device(windows, device)

    monkeypatch.setattr(looking, "on_device", arrive)
    looker.device, looker.batch_size, looker.falls_back = GPU, 1, True
    results = predictor.segment(STUDY[:1])
    assert NarrowLocalNetwork not in [type(module) for module in looker.network.modules()]
    assert {parameter.dtype for parameter in looker.network.parameters()} == {torch.float32}
    assert results[0].malignant_score == pytest.approx(expected[0].malignant_score, abs=2e-6)
    assert results[0].saliency is not None
    assert expected[0].saliency is not None
    assert np.abs(results[0].saliency.values.astype(int) - expected[0].saliency.values.astype(int)).max() <= 8


def test_a_named_gpu_that_cannot_hold_one_view_is_unavailable(holding: Holding) -> None:
    predictor, shown = holding(0)
    with pytest.raises(DeviceUnavailable, match="cuda does not have enough free memory for one image"):
        predictor.segment(STUDY)
    assert shown == [4, 2, 1]


def test_only_auto_falls_back_to_the_cpu(package: ModelPackage) -> None:
    fall_back = {name: GlamPredictor.from_package(package, name)._looker.falls_back for name in ("auto", "cpu")}
    assert fall_back == {"auto": True, "cpu": False}


def test_a_device_that_fails_is_unavailable(holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_off_the_bus(_windows: Windows, _device: torch.device) -> torch.Tensor:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    predictor, _ = holding(4, falls_back=True)
    monkeypatch.setattr(looking, "on_device", fall_off_the_bus)
    with pytest.raises(DeviceUnavailable, match=r"cuda failed: CUDA error.*Restart the worker"):
        predictor.segment(STUDY)


def test_two_threads_take_turns_on_the_device_and_count_their_own_seconds(
    package: ModelPackage, expected: list[ImageFindings], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = GlamPredictor.from_package(package, "cpu", ALWAYS)
    inside, most = [0], [0]

    @contextmanager
    def counted() -> Iterator[None]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        with full_precision():
            time.sleep(0.05)
            yield
        inside[0] -= 1

    monkeypatch.setattr(looking, "full_precision", counted)
    results: dict[int, list[ImageFindings]] = {}
    seconds: dict[int, dict[str, float]] = {}

    def work(number: int, mammograms: list[Mammogram]) -> None:
        results[number] = predictor.segment(mammograms)
        seconds[number] = predictor.last_stage_seconds

    threads = [threading.Thread(target=work, args=(number, STUDY[: 1 + 3 * number])) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert same(results[0], expected[:1])
    assert same(results[1], expected[:4])
    assert all(spent["preprocess"] > 0 for spent in seconds.values())
    assert seconds[0] != seconds[1]
    assert predictor.last_stage_seconds == {}  # for this thread, which has not called `segment`


@pytest.mark.cuda
@pytest.mark.parametrize("precision", Precision)
def test_a_gpu_gives_the_same_results_as_the_cpu(
    package: ModelPackage, expected: list[ImageFindings], precision: Precision
) -> None:
    predictor = GlamPredictor.from_package(package, "cuda", RunOptions(precision, segment=Segment.ALWAYS))
    results = predictor.segment(STUDY)
    for image, other in zip(results, expected, strict=True):
        assert image.malignant_score == pytest.approx(other.malignant_score, abs=1e-5)
        assert image.benign_score == pytest.approx(other.benign_score, abs=1e-5)
        assert image.saliency is not None
        assert other.saliency is not None
        # In steps of 1/255
        apart = np.abs(image.saliency.values.astype(int) - other.saliency.values.astype(int)).max()
        assert apart <= (1 if precision is Precision.EXACT else 8)


@pytest.mark.cuda
def test_windows_come_from_pinned_memory_and_arrive_whole() -> None:
    windows = [np.full((64, 32), number, dtype=np.float32) for number in range(3)]
    arrived = on_device(windows, GPU)
    assert arrived.shape == (3, 1, 64, 32)
    assert arrived.is_contiguous(memory_format=torch.channels_last)
    assert [float(each.mean()) for each in arrived] == [0.0, 1.0, 2.0]


@pytest.mark.cuda
def test_a_gpu_whose_memory_is_taken_halves_its_batches(package: ModelPackage, expected: list[ImageFindings]) -> None:
    predictor = GlamPredictor.from_package(package, "cuda", ALWAYS)
    free, total = torch.cuda.mem_get_info()
    # Room for two windows of 22.6 MB, but not for four
    room = torch.cuda.memory_reserved() + 60 * 2**20
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        assert same(predictor.segment(STUDY), expected)
        assert predictor._looker.batch_size < 4
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert free > 0
