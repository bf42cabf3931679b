"""CPU seconds of a study by stage: `python -m tests.benchmarks.study_cost FOLDER` prints them as JSON.

The program runs in a process of its own, as a worker does, and reads the DICOM files in the folder. It counts the time
of all threads. A stage does not contain the stages that it calls.
"""

import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pydicom

from glam_node import result_kinds
from glam_node.inference.findings_file import encode_findings
from glam_node.inference.loading import load_model
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.predictor import Predictor
from glam_node.inference.study import SourceImage, segment_study
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.files import write_durably, write_sparsely
from glam_node.node.workflow.analyse.result_maker import MadeResult, ResultMaker, ResultSelection
from glam_node.node.workflow.analyse.source_images import read_sources

NETWORK = "network"
ROUNDS = 7
SELECTIONS: dict[str, Set[str]] = {
    "default results": {result_kinds.SEGMENTATION, result_kinds.MEASUREMENT_REPORT},
    "all kinds of result": set(result_kinds.ANALYSIS_KINDS),
}
_GLAM = "glam_node.inference.glam"
STAGES = {
    "read files": "glam_node.inference.study.read_dataset",
    "check headers and background": "glam_node.inference.study.read_mammogram",
    "decode": "glam_node.inference.reading.stored_values",
    "grey scale": "glam_node.inference.reading.presented_values",
    "check images": f"{_GLAM}.predictor.prepare",
    "breast": f"{_GLAM}.preprocessing.locate_breast",
    "window": f"{_GLAM}.preprocessing.standardise",
    NETWORK: f"{_GLAM}.forward.Looker.look",
    "regions": f"{_GLAM}.predictor.extract_findings",
    "saliency maps": f"{_GLAM}.predictor.map_of",
}
_IDENTITY = ResultIdentity().at(datetime(2026, 1, 2, tzinfo=UTC))


class Watch:
    """CPU seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._running = ["other"]
        self._since = time.process_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time to this stage, and not to the one that is running."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.process_time()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as a stage."""

        def run(*values: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*values, **named)

        return run


def _attribute(path: str) -> Any:
    """Return the function that this dotted path names."""
    owner, _, name = path.rpartition(".")
    try:
        return getattr(import_module(owner), name)
    except ModuleNotFoundError:
        return getattr(_attribute(owner), name)


def seconds_by_stage(
    sources: list[SourceImage], predictor: Predictor, kinds: Set[str], folder: Path
) -> dict[str, float]:
    """Analyse the images, write the results to the folder and return the seconds of each stage."""
    watch = Watch()
    with ExitStack() as stack:
        for name, path in STAGES.items():
            stack.enter_context(patch(path, watch.watched(name, _attribute(path))))
        findings = segment_study("1.2.3", sources, predictor)
    assert all(image.findings for image in findings.images), "results without findings cost little"
    with watch.stage("findings file"):
        write_durably(folder / "findings.npz", encode_findings(findings))
    with watch.stage("read headers"):
        instances = [SimpleNamespace(sop_instance_uid=one.sop_instance_uid, path=str(one.path)) for one in sources]
        maker = ResultMaker(findings, read_sources(instances, Path), _IDENTITY)  # type: ignore[arg-type]
    objects = maker.make(ResultSelection(kinds))
    while (made := _next(objects, watch)) is not None:
        with watch.stage("write files"):
            write_durably(folder / "result.dcm", partial(write_sparsely, parts=made.parts))
    return dict(watch.seconds)


def _next(objects: Iterator[MadeResult], watch: Watch) -> MadeResult | None:
    """Return the next object, whose kind is the name of its stage; None if there are no more."""
    with watch.stage(""):
        made = next(objects, None)
    watch.seconds[made.kind if made else "other"] += watch.seconds.pop("")
    return made


def _sources(folder: Path) -> list[SourceImage]:
    headers = [(path, pydicom.dcmread(path, stop_before_pixels=True)) for path in sorted(folder.glob("*.dcm"))]
    return [
        SourceImage(
            path,
            str(header.SOPInstanceUID),
            Laterality(header.ImageLaterality),
            ViewPosition(header.ViewPosition),
            (header.Rows, header.Columns),
        )
        for path, header in headers
    ]


def main(folder: Path) -> None:
    """Print the least seconds of each stage for each selection, and their sum without the network."""
    sources, predictor = _sources(folder), load_model(device="cpu")
    gc.freeze()  # as a worker does
    out = folder / "out"
    costs = {}
    for selection, kinds in SELECTIONS.items():
        rounds = [seconds_by_stage(sources, predictor, kinds, out) for _ in range(ROUNDS)]
        costs[selection] = {stage: min(each[stage] for each in rounds) for stage in rounds[0]}
    print(json.dumps(costs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
