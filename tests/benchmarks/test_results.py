"""Cost of writing the results of a study: time compared with the forward passes, memory compared with a view.

Asserted: all ten kinds of results take less time than the forward passes by torch, at most three times the memory of a
view, and less time than plain use of highdicom. A share of 0.15 of the forward passes was asserted earlier; the report
shows it, since it depends on the processor: 0.11 to 0.14 on one, and 0.30 on another with faster networks but a similar
single core.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from glam_node.inference.findings import FindingKind
from glam_node.inference.findings_file import encode_findings
from glam_node.inference.glam.routes import Route
from glam_node.inference.glam.weights import seeded_state_dict
from glam_node.inference.mammogram import Laterality
from glam_node.inference.options import Runtime
from glam_node.node.results import codes
from glam_node.node.results.sources import source_header
from tests.benchmarks.conftest import Record
from tests.networks import along
from tests.reference.network import look
from tests.unit.results.analysed import Analysed, analysed_exam
from tests.unit.results.analysed import stored as stored_again

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

# A finding of each class in each of the four views
LESIONS = tuple((kind, laterality) for kind in FindingKind for laterality in Laterality)
ROWS, COLUMNS = 3328, 2560
VIEW_KIB = 2 * ROWS * COLUMNS / 1024
LARGEST_MEMORY = 3.0

# A separate process, whose peak memory is that of the writers; the small study loads imports and caches first.
WRITE = """
import json, shutil, sys, time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from glam_node.inference.findings_file import read_findings
from glam_node import result_kinds
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.files import write_durably
from glam_node.node.storage.files import write_sparsely
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.result_maker import ResultMaker, ResultSelection
from glam_node.node.workflow.analyse.source_images import read_sources
from glam_node.node.workflow.analyse.result_writer import write_results

identity = ResultIdentity().at(datetime(2026, 1, 2, tzinfo=UTC))

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])

def instances_of(findings):
    return [
        SimpleNamespace(sop_instance_uid=one.sop_instance_uid, path=f"{one.sop_instance_uid}.dcm")
        for one in findings.images
    ]

def write_all(directory, wanted):
    findings = read_findings(directory / "findings.npz")
    instances = instances_of(findings)
    started = time.perf_counter()
    write_results(findings, instances, identity, InstanceStore(directory), [ResultSelection(wanted)])
    spent = time.perf_counter() - started
    shutil.rmtree(directory / "results")
    return spent

def write(directory):
    findings = read_findings(directory / "findings.npz")
    sources = read_sources(instances_of(findings), directory.joinpath)
    seconds, started = Counter(), time.perf_counter()
    for made in ResultMaker(findings, sources, identity).make(ResultSelection(set(result_kinds.ANALYSIS_KINDS))):
        write_durably(directory / "result.dcm", lambda file: write_sparsely(file, made.parts))
        seconds[made.kind] += time.perf_counter() - started
        started = time.perf_counter()
    return seconds

small, full = map(Path, sys.argv[1:])
by_default, every = {result_kinds.SEGMENTATION, result_kinds.MEASUREMENT_REPORT}, set(result_kinds.ANALYSIS_KINDS)
write_all(small, every)
before = peak()
together = {name: min(write_all(full, wanted) for _ in range(3)) for name, wanted in
    (("by default", by_default), ("all ten", every))}
risen = peak() - before
print(json.dumps([write(full), together, risen]))
"""


def stored(exam: Analysed, directory: Path) -> Path:
    """Return a directory with the exam's images and findings."""
    directory.mkdir()
    for uid, source in exam.sources.items():
        source.save_as(directory / f"{uid}.dcm", enforce_file_format=True)
    (directory / "findings.npz").write_bytes(encode_findings(exam.findings))
    return directory


def forward_seconds() -> tuple[float, float, float]:
    """Return the least seconds of two runs on four positive views: plainly, by torch's exact route and by ncnn's."""
    state, threads = seeded_state_dict(128)[0], torch.get_num_threads()
    networks = [along(by, state, threads) for by in (Route(Runtime.TORCH), Route(Runtime.OPENVINO, Runtime.NCNN))]
    window = torch.randn(1, 1, 2944, 1920)
    routes: list[Callable[[], object]] = [partial(look, state, window), *(partial(each, window) for each in networks)]
    seconds: tuple[list[float], ...] = ([], [], [])
    with torch.inference_mode():
        for _ in range(2):
            for route, spent in zip(routes, seconds, strict=True):
                started = time.perf_counter()
                for _ in range(4):
                    route()
                spent.append(time.perf_counter() - started)
    plain, exact, fastest = map(min, seconds)
    return plain, exact, fastest


def test_all_results_of_a_study(tmp_path: Path, figure: Record) -> None:
    exam = analysed_exam(ROWS, COLUMNS, lesions=LESIONS)
    assert all(image.findings for image in exam.findings.images), "results without findings cost little"
    small = stored(analysed_exam(lesions=LESIONS), tmp_path / "small")
    command = [sys.executable, "-c", WRITE, str(small), str(stored(exam, tmp_path / "full"))]
    seconds, together, risen = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)
    plain, exact, fastest = forward_seconds()
    for kind, spent in {**seconds, **together}.items():
        figure(kind, "s", spent)
    for name, passes in (("written plainly", plain), ("by torch", exact), ("by ncnn", fastest)):
        figure(f"forward passes {name}", "s", passes)
        figure(f"all ten, of the forward passes {name}", "times", together["all ten"] / passes)
    figure("memory", "views", risen / VIEW_KIB)
    assert together["all ten"] < exact
    assert risen <= LARGEST_MEMORY * VIEW_KIB


def test_segmentations_against_highdicom_used_plainly(figure: Record) -> None:
    """Both in this process, the pixels of masks in memory: a stack of full-size masks a view, as its examples show."""
    exam = analysed_exam(ROWS, COLUMNS, lesions=LESIONS)
    ours, plain = least_seconds(exam.segmentations), least_seconds(lambda: plainly_written(exam))
    figure("as fast as highdicom used plainly", "times", plain / ours)
    assert ours < plain


def least_seconds(write: Callable[[], object]) -> float:
    """Return the least seconds of three runs, after one run that includes the imports."""
    write()
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        write()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def plainly_written(exam: Analysed) -> list[Dataset]:
    written = []
    for image in exam.findings.images:
        descriptions = [
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=f"finding {number}",
                segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
                segmented_property_type=codes.LESION,
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=hd.AlgorithmIdentificationSequence("GLAM", codes.ARTIFICIAL_INTELLIGENCE, "1"),
            )
            for number in range(1, len(image.findings) + 1)
        ]
        segmentation = hd.seg.Segmentation(
            source_images=[source_header(exam.sources[image.sop_instance_uid])],
            pixel_array=np.stack([one.full_mask(image.shape) for one in image.findings], axis=-1)[np.newaxis],
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            series_instance_uid=generate_uid(),
            series_number=1,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="glam-node",
            manufacturer_model_name="benchmark",
            software_versions="1",
            device_serial_number="1",
        )
        written.append(stored_again(segmentation))
    return written
