"""The measurements of `glam-node model time`: the time of a study on this machine, and that of each route."""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from glam_node.inference.cores import processor_name
from glam_node.inference.findings import Findings
from glam_node.inference.options import Measure
from glam_node.inference.predictor import Predictor
from glam_node.inference.route_record import RouteDecision
from glam_node.inference.study import segment_study
from glam_node.node.bootstrap import load_configured_predictor, result_identity
from glam_node.node.demo.exam import phantom_exam
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.errors import PermanentError
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.result_maker import ResultSelection
from glam_node.node.workflow.analyse.result_writer import write_results
from glam_node.node.workflow.analyse.run_job import source_images
from glam_node.node.workflow.assemble.read_files import read_files
from glam_node.result_kinds import DEFAULT_KINDS
from glam_node.settings.schema import Settings

SEED = 1
HOUR_S = 3600.0
TABLE = (
    "| device | processor | threads | model | segment | views with findings | seconds a study | studies an hour |",
    "|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one worker that does no other work."""

    device: str
    """Name of the device if it is known, else the kind of device, for example "cpu"."""
    processor: str
    threads: int
    model: str
    segment: str
    """Value of inference.segment: the views whose findings are outlined."""
    views: int
    views_with_findings: int
    kinds: tuple[str, ...]
    """Kinds of the results that were written."""
    stage_seconds: dict[str, float]
    """Median time of each stage in s, over all studies except the first, which is for warm-up."""
    study_seconds: tuple[float, ...]
    """Time of each study in s, including the first."""

    @property
    def seconds(self) -> float:
        """Median time of a study in s, over all studies except the first."""
        return median(self.study_seconds[1:])

    @property
    def studies_per_hour(self) -> float:
        """Number of studies per hour, analysed one after the other; with inference.overlap, a GPU may analyse more."""
        return HOUR_S / self.seconds

    def table_row(self) -> str:
        """Return the measurement as a row of TABLE."""
        cells = (
            self.device,
            self.processor,
            self.threads,
            self.model,
            self.segment,
            f"{self.views_with_findings} of {self.views}",
            f"{self.seconds:.2f}",
            f"{self.studies_per_hour:.0f}",
        )
        return f"| {' | '.join(map(str, cells))} |"


def measure(settings: Settings, studies: int, rows: int, columns: int) -> Timing:
    """Measure the configured model on its device with a phantom exam.

    Args:
        settings: The settings of the node.
        studies: Number of studies to measure, after one more study for warm-up.
        rows: Rows of each image.
        columns: Columns of each image.

    Raises:
        PermanentError: A view cannot be analysed.
        PackageMismatch: The model package does not fit the predictor.
        DeviceUnavailable: The configured device does not exist.
    """
    predictor = load_configured_predictor(settings, Measure.ONCE)
    kinds = DEFAULT_KINDS.union(*(one.results for one in settings.destinations.values()))
    with tempfile.TemporaryDirectory(prefix="glam-node-time-") as directory:
        instances = _phantom_study(Path(directory), rows, columns)
        # Each study gets its own store, because a store does not write the same result twice.
        stores = [InstanceStore(Path(directory, str(number))) for number in range(studies + 1)]
        runs = [_time_study(instances, predictor, result_identity(settings), kinds, store) for store in stores]
    findings = runs[-1][0]
    stages = [stages for _, stages in runs[1:]]
    return Timing(
        device=getattr(predictor, "device_name", "") or getattr(predictor, "device", "cpu"),
        processor=processor_name(),
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")),
        model=f"{findings.algorithm.algorithm_name} {findings.algorithm.algorithm_version}, {_route(predictor)}",
        segment=settings.inference.segment,
        views=len(findings.images),
        views_with_findings=sum(bool(image.findings) for image in findings.images),
        kinds=tuple(sorted(kinds)),
        stage_seconds={name: median(one[name] for one in stages) for name in stages[-1]},
        study_seconds=tuple(sum(stages.values()) for _, stages in runs),
    )


def decide_route(settings: Settings, *, again: bool) -> tuple[str, RouteDecision]:
    """Return the route that a worker takes and the reason for it, measured if no measurement is kept or `again`.

    Raises:
        PackageMismatch: The model package does not fit the predictor.
        DeviceUnavailable: The configured device does not exist.
    """
    predictor = load_configured_predictor(settings, Measure.AGAIN if again else Measure.ONCE)
    only = RouteDecision(f"the only one of {settings.inference.predictor}")
    return str(getattr(predictor, "route", "") or "no network"), getattr(predictor, "route_decision", only)


def _route(predictor: Predictor) -> str:
    route: str = getattr(predictor, "route", "")
    return route.partition(", ")[2] or "no network"


def _phantom_study(directory: Path, rows: int, columns: int) -> Sequence[SOPInstance]:
    exam = phantom_exam(directory / "exam", SEED, rows, columns)
    (study,) = read_files([one.path for one in exam.instances], datetime.now(UTC)).studies
    return study.instances


def _time_study(
    instances: Sequence[SOPInstance],
    predictor: Predictor,
    identity: ResultIdentity,
    kinds: frozenset[str],
    store: InstanceStore,
) -> tuple[Findings, dict[str, float]]:
    """Analyse one study and write its results.

    Returns:
        The findings, and the time of each stage in s.
    """
    findings = segment_study("2.25.1", source_images(instances, Path), predictor)
    for image in findings.images:
        if image.failure:
            raise PermanentError(f"{image.image_laterality} {image.view_position} was not analysed: {image.failure}")
    started = time.monotonic()
    write_results(findings, instances, identity.at(datetime.now(UTC)), store, [ResultSelection(kinds)])
    return findings, {**dict(findings.stage_seconds), "write": time.monotonic() - started}
