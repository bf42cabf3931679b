"""Peak memory of each route, measured in a separate process; it does not grow with the number of studies.

Asserted: a worker's networks take less memory on torch than in the plain implementation, and memory is constant over
many studies. A share of at most 0.8 was asserted earlier; it depends on the number of threads and on torch's kernels
for the processor.
"""

import json
import os
import subprocess
import sys

import pytest

from glam_node.inference.glam.routes import processor_has_bfloat16
from tests.benchmarks.conftest import Record

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

# KiB of resident memory; torch returns freed blocks late, so some remain.
LARGEST_GROWTH = 64 * 1024
EXACT = [("torch", "torch", "float32"), ("openvino", "torch", "float32"), ("openvino", "ncnn", "float32")]
NARROW = [(runtime, runtime, "bfloat16") for runtime in ("torch", "openvino")]
STUDIES = int(os.environ.get("BENCHMARK_STUDIES", "200"))

# The peak of this process alone: that of getrusage starts with the parent's.
PEAK = """
from pathlib import Path
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(line.split()[1])
"""
PLAIN = f"""
import torch
from glam_node.inference.glam.weights import seeded_state_dict
from tests.reference.network import look
state = seeded_state_dict(128)[0]
with torch.inference_mode():
    for _ in range(2):
        look(state, torch.randn(1, 1, 2944, 1920))
{PEAK}"""
ROUTE = f"""
import sys, torch
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.routes import Route, take_route
from glam_node.inference.glam.weights import network_from, seeded_state_dict
from glam_node.inference.options import Runtime
route = Route(Runtime(sys.argv[1]), Runtime(sys.argv[2]), getattr(torch, sys.argv[3]))
network = take_route(fold_for_inference(network_from(seeded_state_dict(128)[0])), route, torch.get_num_threads())
with torch.inference_mode():
    for _ in range(2):
        network(torch.randn(1, 1, 2944, 1920))
{PEAK}"""
MANY = """
import json, sys
from pathlib import Path
from dataclasses import replace
from tempfile import TemporaryDirectory
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.options import RunOptions, Runtime, Segment
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from tests.unit.inference.glam.tiny_package import tiny_package

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

with TemporaryDirectory() as directory:
    package = tiny_package(Path(directory))
    options = RunOptions(runtime=Runtime(sys.argv[1]), segment=Segment.ALWAYS)
    predictor = GlamPredictor.from_package(package, "cpu", options)
exam = [read_mammogram(view.dataset) for view in make_exam(1, rows=1664, columns=1280)]
kept = []
for number in range(int(sys.argv[2])):
    assert all(image.failure is None for image in predictor.segment(exam))
    kept.append(resident())
print(json.dumps(kept))
"""


def answer(program: str, *arguments: str) -> object:
    finished = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True, timeout=1500
    )
    return json.loads(finished.stdout)


def kibibytes(program: str, *arguments: str) -> int:
    peak = answer(program, *arguments)
    assert isinstance(peak, int)
    return peak


def test_the_peak_of_each_route(figure: Record) -> None:
    plain = kibibytes(PLAIN)
    figure("written plainly", "MB", plain / 1024)
    large = {}
    # No route uses bfloat16 where it is emulated.
    for route in EXACT + (NARROW if processor_has_bfloat16() else []):
        peak = kibibytes(ROUTE, *route)
        figure(f"{', local network by '.join(route[:2])} in {route[2]}", "MB", peak / 1024)
        if route[0] == "torch" and peak > plain:
            large[route] = peak / plain
    assert not large


@pytest.mark.parametrize("runtime", ["torch", "openvino", "ncnn"])
def test_memory_is_flat_over_many_studies(runtime: str, figure: Record) -> None:
    kept = answer(MANY, runtime, str(STUDIES))
    assert isinstance(kept, list)
    settled = STUDIES // 10
    figure(f"{runtime}, after {settled} studies", "MB", kept[settled] / 1024)
    figure(f"{runtime}, after {STUDIES} studies", "MB", kept[-1] / 1024)
    assert kept[-1] - kept[settled] < LARGEST_GROWTH
