"""Figures of a GPU in a few minutes: `make benchmark-gpu` installs everything and writes build/benchmarks/gpu.md.

The network has the published size. No network on a GPU was measured before, so nothing is asserted: the figures say
which precision, memory format, batch and graph gain on this device, with the error of each. `--device cpu --small`
runs the same code with a tiny network, for tests.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from glam_node.inference.glam.device import full_precision, memory_of, name_of
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.glam.shape import PUBLISHED, shape_from_table
from glam_node.inference.glam.weights import network_from, seeded_state_dict
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import Precision, RunOptions, Segment
from glam_node.inference.package import ModelPackage, read_package
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.inference.study import segment_study
from glam_node.node.demo.exam import phantom_exam
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.result_maker import ResultSelection
from glam_node.node.workflow.analyse.result_writer import write_results
from glam_node.node.workflow.analyse.run_job import source_images
from glam_node.node.workflow.assemble.read_files import read_files
from glam_node.result_kinds import DEFAULT_KINDS
from tests.benchmarks.report import DIRECTORY, Report
from tests.packages import SEEDED_PACKAGE
from tests.unit.inference.glam.tiny_package import SHAPE, tiny_package

BATCHES = (1, 2, 4, 8, 16)
ROUNDS, STUDIES = 5, 12
WINDOW = (2944, 1920)
COMPILE_S = 240.0
"""Seconds that must be left for torch.compile to be tried."""
NO_GPU = (
    "No CUDA device was found, so nothing was measured. Run `make benchmark-gpu` on a machine with an NVIDIA GPU and "
    "its driver; `nvidia-smi` must list the GPU."
)
# The type stubs of torch lack some of these settings.
_BACKENDS: Any = torch.backends


@dataclass(frozen=True, slots=True)
class Bench:
    """A device, a network and the time that is left."""

    device: torch.device
    small: bool
    report: Report
    until: float

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.until - time.monotonic()

    def network(self) -> Glam:
        """Return a folded network with seeded weights on the device."""
        shape = shape_from_table(SHAPE) if self.small else PUBLISHED
        return fold_for_inference(network_from(seeded_state_dict(128, shape)[0], shape)).to(self.device)

    def window(self, count: int) -> Tensor:
        """Return equal windows as bright as standardised views, with one lump."""
        noise = torch.randn(1, 1, *WINDOW, generator=torch.Generator().manual_seed(1)) * 0.3
        noise[:, :, 800:1100, 300:700] += 2.0
        return noise.expand(count, -1, -1, -1).contiguous().to(self.device)

    def package(self, folder: Path) -> ModelPackage:
        """Return a package of the published size, or a tiny one."""
        return tiny_package(folder) if self.small else read_package(SEEDED_PACKAGE)

    def seconds(self, work: Callable[[], object]) -> list[float]:
        """Return the seconds of several rounds, after one round for warm-up."""
        rounds = []
        for _ in range(ROUNDS + 1):
            started = time.perf_counter()
            work()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            rounds.append(time.perf_counter() - started)
        return rounds[1:]

    def figure(self, name: str, unit: str, *rounds: float) -> None:
        """Record a figure."""
        self.report.add(f"gpu, {self.device.type}", name, unit, *rounds)


@contextmanager
def tf32() -> Iterator[None]:
    """Compute in TF32 as a setting might allow it."""
    with full_precision():
        convolutions, products = _BACKENDS.cudnn.conv, _BACKENDS.cuda.matmul
        convolutions.fp32_precision = products.fp32_precision = "tf32"
        yield


@contextmanager
def bfloat16(device: torch.device) -> Iterator[None]:
    """Compute both networks in bfloat16."""
    with full_precision(), torch.autocast(device.type, torch.bfloat16):
        yield


def precisions(device: torch.device) -> dict[str, Callable[[], AbstractContextManager[None]]]:
    """Return the contexts of the forward pass by the name of the precision."""
    return {"float32": full_precision, "TF32": tf32, "bfloat16": partial(bfloat16, device)}


def measure_forward_passes(bench: Bench) -> None:
    """Record the time of a positive view by precision, memory format and batch, and the error of each precision."""
    network = bench.network()
    with full_precision():
        exact = network(bench.window(1))
    for layout, memory_format in (("", torch.contiguous_format), (", channels_last", torch.channels_last)):
        network = network.to(memory_format=memory_format)  # type: ignore[call-overload]
        for precision, context in precisions(bench.device).items():
            with context():
                output = network(bench.window(1).to(memory_format=memory_format))
                name = f"{precision}{layout}"
                errors = {
                    "scores": (output.overview.scores.float() - exact.overview.scores).abs().max(),
                    "local saliency": (output.local_saliency.float() - exact.local_saliency).abs().max(),
                }
                moved = output.patch_positions.tolist() != exact.patch_positions.tolist()
                for what, error in errors.items():
                    bench.figure(
                        f"{name}, error of {what}{' (the patch moved)' if moved else ''}", "of 1", float(error)
                    )
                for batch in BATCHES[: 2 if bench.small else None]:
                    if not measure_batch(bench, name, network, bench.window(batch).to(memory_format=memory_format)):
                        break


def measure_batch(bench: Bench, name: str, network: Glam, windows: Tensor) -> bool:
    """Record the time of a view in a batch, and return whether the batch fitted into the device's memory."""
    batch = len(windows)
    try:
        rounds = bench.seconds(lambda: network(windows))
    except torch.OutOfMemoryError:
        print(f"{name}, batch of {batch}: out of memory")
        torch.cuda.empty_cache()
        return False
    bench.figure(f"{name}, a positive view in a batch of {batch}", "s", *(one / batch for one in rounds))
    memory = memory_of(bench.device)
    if memory is not None:
        bench.figure(f"{name}, memory with a batch of {batch}", "GB", memory[0] / 1e9)
    return bench.left > 0


def measure_graphs(bench: Bench) -> None:
    """Record the time of the global network, which every view needs, plainly, as a CUDA graph and compiled."""
    network, windows = bench.network().global_network.to(memory_format=torch.channels_last), bench.window(4)  # type: ignore[call-overload]
    with full_precision():
        work: dict[str, Callable[[], object]] = {"plain": partial(network, windows)}
        if bench.device.type == "cuda":
            network(windows)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                network(windows)
            work["CUDA graph"] = graph.replay
        if bench.left > COMPILE_S and not bench.small:
            work["torch.compile"] = partial(torch.compile(network), windows)
        for name, run in work.items():
            bench.figure(
                f"global network, {name}, a view in a batch of 4", "s", *(one / 4 for one in bench.seconds(run))
            )


def measure_studies(bench: Bench) -> None:
    """Record studies an hour of one worker: one after the other, and with the next one read while the device works."""
    studies = 2 if bench.small else STUDIES
    with tempfile.TemporaryDirectory(prefix="glam-node-gpu-") as name:
        folder = Path(name)
        exam = phantom_exam(folder / "exam", 1, *((1024, 768) if bench.small else (3328, 2560)))
        (study,) = read_files([one.path for one in exam.instances], datetime.now(UTC)).studies
        package = bench.package(folder / "package")
        for precision in Precision:
            options = RunOptions(precision, segment=Segment.ALWAYS)
            predictor = GlamPredictor.from_package(package, str(bench.device), options)
            work = partial(_study, study.instances, predictor, folder)
            work(0)
            for places, how in ((1, "one after the other"), (2, "decode and write while the device computes")):
                started = time.perf_counter()
                with ThreadPoolExecutor(places) as pool:
                    list(pool.map(work, range(places * 1000, places * 1000 + studies)))
                rate = 3600 * studies / (time.perf_counter() - started)
                bench.figure(f'precision = "{precision}", {how}', "studies an hour", rate)


def measure_batches_over_studies(bench: Bench) -> None:
    """Record the time of a study whose views share batches with those of other studies."""
    with tempfile.TemporaryDirectory(prefix="glam-node-gpu-") as name:
        folder = Path(name)
        exam = phantom_exam(folder / "exam", 1, *((1024, 768) if bench.small else (3328, 2560)))
        views = [read_mammogram(read_dataset(Path(one.path))) for one in exam.instances]
        options = RunOptions(segment=Segment.ALWAYS)
        predictor = GlamPredictor.from_package(bench.package(folder / "package"), str(bench.device), options)
        for studies in (1, 2) if bench.small else (1, 2, 4):
            together: Sequence[Mammogram] = views * studies
            predictor._looker.batch_size = len(together)
            rounds = bench.seconds(lambda together=together: predictor.segment(together))  # type: ignore[misc]
            fitted = predictor._looker.batch_size
            bench.figure(f"analysis of a study, batches of {fitted} views", "s", *(one / studies for one in rounds))


def _study(instances: Sequence[SOPInstance], predictor: GlamPredictor, folder: Path, number: int) -> None:
    """Read and analyse a study and write its results, as a worker does."""
    findings = segment_study("2.25.1", source_images(instances, Path), predictor)
    assert not any(image.failure for image in findings.images)
    # Each study gets its own store, because a store does not write the same result twice.
    store = InstanceStore(folder / str(number))
    write_results(findings, instances, ResultIdentity().at(datetime.now(UTC)), store, [ResultSelection(DEFAULT_KINDS)])


STEPS = (measure_forward_passes, measure_studies, measure_batches_over_studies, measure_graphs)


def main(
    device: Annotated[str, typer.Option(help="Device to measure.")] = "cuda",
    small: Annotated[bool, typer.Option("--small", help="Use a tiny network and small images.")] = False,
    seconds: Annotated[float, typer.Option(help="Start no further step after this time.")] = 600.0,
    directory: Annotated[Path, typer.Option(help="Folder of the report.")] = DIRECTORY / "gpu",
) -> None:
    """Measure a GPU and write the report; exit with 2 if there is none."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        raise typer.Exit(2)
    bench = Bench(torch.device(device), small, Report(), time.monotonic() + seconds)
    print(f"Device: {name_of(bench.device) or device}")
    for step in STEPS:
        if bench.left <= 0:
            print(f"NOT RUN, no time is left: {step.__name__}")
            continue
        with nullcontext() if bench.device.type == "cpu" else torch.cuda.device(bench.device):
            step(bench)
    print(f"Figures of this device: {bench.report.write(directory, device=name_of(bench.device))}")


if __name__ == "__main__":
    typer.run(main)
