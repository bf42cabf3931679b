"""What writing all kinds of results of a four-view study costs, in time and in memory, and against highdicom alone."""

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import torch
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.routes import Route, take_route
from glam_node.inference.glam.weights import network_from, seeded_state_dict
from glam_node.inference.options import Runtime
from glam_node.node.results import codes, kinds
from glam_node.node.workflow.write import made_objects
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, encoded
from tests.unit.results.cad_reports import EVERYWHERE

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

ROWS, COLUMNS = 3328, 2560
PROMISED_SHARE_OF_FORWARD = 0.15
ALL = frozenset(kinds.SOP_CLASSES)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysed, dict[str, Path]]:
    """A full-size exam with a finding of each class in every view, on disk."""
    exam = analysed_exam(ROWS, COLUMNS, lesions=EVERYWHERE)
    directory = tmp_path_factory.mktemp("sources")
    paths = {uid: directory / f"{uid}.dcm" for uid in exam.sources}
    for uid, path in paths.items():
        pydicom.dcmwrite(path, exam.sources[uid], enforce_file_format=True)
    return exam, paths


def least_seconds(work: Callable[[], object], rounds: int = 3) -> float:
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def written(exam: Analysed, paths: dict[str, Path], wanted: frozenset[str]) -> int:
    """The bytes of all objects, each let go before the next."""
    return sum(len(encoded(result)) for _, result in made_objects(exam.findings, paths, IDENTITY, wanted))


def plain_segmentations(exam: Analysed) -> list[Dataset]:
    """The masks alone, as highdicom's own examples write them."""
    plain: list[Dataset] = []
    for image in exam.findings.images:
        description = [
            hd.seg.SegmentDescription(
                number, f"finding {number}", codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE, codes.LESION, "MANUAL"
            )
            for number in range(1, len(image.findings) + 1)
        ]
        masks = np.stack([one.full_mask(image.shape) for one in image.findings], axis=-1)[np.newaxis]
        source, uid = exam.sources[image.sop_instance_uid], generate_uid
        plain.append(
            hd.seg.Segmentation([source], masks, "BINARY", description, uid(), 1, uid(), 1, "maker", "model", "1", "1")
        )
    return plain


def test_the_time_of_all_results_against_the_forward_pass(study: tuple[Analysed, dict[str, Path]]) -> None:
    state = seeded_state_dict(128)[0]
    folded = fold_for_inference(network_from(state))
    network = take_route(folded, Route(Runtime.TORCH), torch.get_num_threads())
    view = torch.randn(1, 1, 2944, 1920, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        forward = 4 * least_seconds(lambda: network(view), rounds=2)
    for kind in kinds.SOP_CLASSES:
        seconds = least_seconds(partial(written, *study, frozenset({kind})))
        print(f"\n{kind}: {seconds:.2f} s", end="")
    default = least_seconds(lambda: written(*study, kinds.KEPT_ANYWAY))
    everything = least_seconds(lambda: written(*study, ALL))
    print(f"\nfour forward passes {forward:.1f} s; by default {default / forward:.1%}, all {everything / forward:.1%}")
    assert everything < PROMISED_SHARE_OF_FORWARD * forward


def test_the_time_of_segmentations_against_highdicom_used_plainly(study: tuple[Analysed, dict[str, Path]]) -> None:
    exam, paths = study
    plain = least_seconds(lambda: [encoded(one) for one in plain_segmentations(exam)])
    ours = least_seconds(lambda: written(exam, paths, frozenset({kinds.SEGMENTATION})))
    print(f"\nhighdicom plainly {plain:.2f} s, ours {ours:.2f} s: {ours / plain:.2f} times")


MEMORY = """
import json, pickle, re, sys
from pathlib import Path
from glam_node.node.results import kinds
from tests.benchmarks.test_results import written
from tests.unit.results.analysed import analysed_exam
exam, paths = pickle.load(open(sys.argv[1], "rb"))
def kibibytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
analysed_exam().report()
Path("/proc/self/clear_refs").write_text("5")
before = kibibytes("VmRSS")
written(exam, paths, frozenset(sys.argv[2:]))
print(json.dumps(kibibytes("VmHWM") - before))
"""


@pytest.mark.parametrize("wanted", [sorted(kinds.KEPT_ANYWAY), sorted(ALL)], ids=["default", "all"])
def test_the_memory_of_results_in_pixels_of_a_view(
    study: tuple[Analysed, dict[str, Path]], tmp_path: Path, wanted: list[str]
) -> None:
    stated = tmp_path / "study.pickle"
    stated.write_bytes(pickle.dumps((Analysed(study[0].findings, {}), study[1])))
    done = subprocess.run([sys.executable, "-c", MEMORY, stated, *wanted], check=True, capture_output=True, text=True)
    views = json.loads(done.stdout) * 1024 / (ROWS * COLUMNS * 2)
    print(f"\n{views:.1f} views' pixels above a process that has written a small study")
    assert views > 0
