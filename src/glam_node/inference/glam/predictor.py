"""The predictor of "glam" packages, from decoded views to findings."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Self

import torch

from glam_node.inference.card import ModelCard
from glam_node.inference.errors import DeviceUnavailable, PackageMismatch, UnsupportedMammogram
from glam_node.inference.findings import (
    CHANNELS,
    AlgorithmIdentification,
    Finding,
    FindingKind,
    ImageFindings,
    SaliencyMap,
)
from glam_node.inference.glam.device import memory_of, name_of, resolve_device
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.forward import Looker
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.postprocessing import ViewSaliency, extract_findings, is_positive, map_of
from glam_node.inference.glam.preprocessing import PreparedView, prepare
from glam_node.inference.glam.route_choice import choose_route
from glam_node.inference.glam.routes import Route, take_route
from glam_node.inference.glam.weights import load_network
from glam_node.inference.guard import check_image
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import REFERENCE_RUN, RunOptions, Runtime, Segment
from glam_node.inference.package import ModelPackage, OperatingPoint, score_parameters
from glam_node.inference.route_record import RouteDecision

ARCHITECTURE = "glam"
_TORCH = Route(Runtime.TORCH)
# Batches make a GPU faster; on a CPU they only take more memory.
_CUDA_BATCH = 4


@dataclass(frozen=True, slots=True)
class GlamParameters:
    """The [parameters] section of a glam package."""

    patches_per_image: int = 1
    maximum_findings_per_class: int = 5

    @classmethod
    def from_package(cls, package: ModelPackage) -> Self:
        """Read the parameters of `package`.

        Raises:
            PackageMismatch: A parameter, which the message names, is not a positive whole number.
        """
        values = {}
        for name in ("patches_per_image", "maximum_findings_per_class"):
            value = package.parameters.get(name, getattr(cls(), name))
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PackageMismatch(f"{package.path}: parameters.{name} is {value!r}, must be a whole number >= 1.")
            values[name] = value
        return cls(**values)


class GlamPredictor:
    """GLAM on one device by one route; it uses the number of CPU threads that torch had when it was loaded."""

    def __init__(
        self,
        network: Glam,
        device: torch.device,
        operating_points: dict[FindingKind, OperatingPoint],
        parameters: GlamParameters,
        algorithm: AlgorithmIdentification,
        batch_size: int,
        card: ModelCard | None = None,
        route: Route = _TORCH,
        falls_back: bool = False,
        route_decision: RouteDecision | None = None,
    ) -> None:
        self._looker = Looker(network, device, parameters.patches_per_image, self._is_positive, batch_size, falls_back)
        self._operating_points = operating_points
        self._parameters = parameters
        self._algorithm = algorithm
        self._spent = threading.local()
        self._card = card or ModelCard()
        self._route = route
        self.route_decision = route_decision
        """The reason for the route; None if the caller chose it."""

    @property
    def algorithm(self) -> AlgorithmIdentification:
        """Identification of the algorithm; constant for the life of the predictor."""
        return self._algorithm

    @property
    def route(self) -> str:
        """Device and runtime of the networks, as text for people."""
        return f"{self._looker.device}, {self._route}"

    @property
    def waits_for_a_device(self) -> bool:
        """Whether the processor is idle while the network runs and can prepare another study meanwhile."""
        return self._looker.device.type != "cpu"

    @property
    def device(self) -> str:
        """Name of the device that computes the networks: cpu, cuda:0 ..."""
        return str(self._looker.device)

    @property
    def device_name(self) -> str:
        """Product name of the device; empty for the CPU."""
        return name_of(self._looker.device)

    @property
    def device_memory(self) -> tuple[int, int] | None:
        """Bytes of device memory that this process holds, and the device's total; None for the CPU."""
        return memory_of(self._looker.device)

    @property
    def last_stage_seconds(self) -> dict[str, float]:
        """Seconds of each stage (preprocess, global, local, postprocess) in this thread's last call of `segment`."""
        return dict(self._seconds)

    @property
    def _seconds(self) -> dict[str, float]:
        seconds: dict[str, float] = self._spent.__dict__.setdefault("seconds", {})
        return seconds

    @classmethod
    def from_package(cls, package: ModelPackage, device: str, options: RunOptions = REFERENCE_RUN) -> Self:
        """Load the predictor of a "glam" package on "cpu", "cuda", "cuda:N" or "auto".

        With "auto" the predictor continues on the CPU if the GPU has no memory for a single image.

        Raises:
            PackageMismatch: The package has another architecture, its weights are not those that it states, or the
                chosen runtime is not installed.
            DeviceUnavailable: The machine lacks the device, or the model does not fit into the device's memory.
        """
        if package.architecture != ARCHITECTURE:
            raise PackageMismatch(f"{package.path} is a {package.architecture} package, not a {ARCHITECTURE} package.")
        parameters = GlamParameters.from_package(package)
        resolved = resolve_device(device)
        network = fold_for_inference(load_network(package))
        route, decision = choose_route(network, package, options, resolved)
        try:
            network = take_route(network.to(resolved), route, torch.get_num_threads())
        except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
            raise DeviceUnavailable(f"{resolved} cannot hold the model: {error}") from error
        return cls(
            network,
            resolved,
            _points_of_segmentation(package, options.segment),
            parameters,
            _identify(package, parameters, route, options.segment),
            batch_size=_CUDA_BATCH if resolved.type == "cuda" else 1,
            card=package.card,
            route=route,
            falls_back=device == "auto",
            route_decision=decision,
        )

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Return one result per mammogram, in order; a mammogram that cannot be analysed gets `failure` set.

        Several threads may call this: one at a time uses the device while the others prepare and outline views.

        Raises:
            DeviceUnavailable: The device is lost or cannot hold a single image.
        """
        self._spent.seconds = dict.fromkeys(("preprocess", "global", "local", "postprocess"), 0.0)
        results: list[ImageFindings] = []
        while len(results) < len(mammograms):
            results += self._segment_batch(mammograms[len(results) : len(results) + self._looker.batch_size])
        return results

    def _segment_batch(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        with self._timed("preprocess"):
            prepared = [_prepared_or_failure(mammogram, self._card) for mammogram in mammograms]
        views = [view for view in prepared if isinstance(view, PreparedView)]
        saliencies = iter(self._looker.look(views, self._timed))
        results = []
        for mammogram, view in zip(mammograms, prepared, strict=True):
            if isinstance(view, PreparedView):
                results.append(self._result(mammogram, view, next(saliencies)))
            else:
                results.append(_failure(mammogram, view))
        return results

    def _is_positive(self, scores: Sequence[float]) -> bool:
        points = (self._operating_points.get(kind) for kind in CHANNELS)
        return any(is_positive(score, point) for score, point in zip(scores, points, strict=True))

    def _result(self, mammogram: Mammogram, view: PreparedView, saliency: ViewSaliency) -> ImageFindings:
        with self._timed("postprocess"):
            findings = extract_findings(
                view, saliency, self._operating_points, self._parameters.maximum_findings_per_class
            )
            saliency_map = map_of(view, saliency)
        return _image_findings(mammogram, saliency.scores, findings, remarks=view.remarks, saliency=saliency_map)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] += time.perf_counter() - start


def _prepared_or_failure(mammogram: Mammogram, card: ModelCard) -> PreparedView | str:
    try:
        unlike = check_image(mammogram, card)
        view = prepare(mammogram)
        return replace(view, remarks=(*unlike, *view.remarks))
    except UnsupportedMammogram as error:
        return str(error)


def _failure(mammogram: Mammogram, reason: str) -> ImageFindings:
    return _image_findings(mammogram, (None, None), (), failure=reason)


def _image_findings(
    mammogram: Mammogram,
    scores: tuple[float | None, float | None],
    findings: tuple[Finding, ...],
    failure: str | None = None,
    remarks: tuple[str, ...] = (),
    saliency: SaliencyMap | None = None,
) -> ImageFindings:
    score_of = dict(zip(CHANNELS, scores, strict=True))
    return ImageFindings(
        sop_instance_uid=mammogram.sop_instance_uid,
        image_laterality=mammogram.image_laterality,
        view_position=mammogram.view_position,
        shape=mammogram.shape,
        benign_score=score_of[FindingKind.BENIGN],
        malignant_score=score_of[FindingKind.MALIGNANT],
        findings=findings,
        failure=failure,
        remarks=remarks,
        saliency=saliency,
    )


def _points_of_segmentation(package: ModelPackage, segment: Segment) -> dict[FindingKind, OperatingPoint]:
    """Return the operating points that decide which images are outlined; with ALWAYS, every score reaches them."""
    if segment is Segment.POSITIVE:
        return package.operating_points
    return {kind: replace(point, image_score_threshold=0.0) for kind, point in package.operating_points.items()}


def _identify(
    package: ModelPackage, parameters: GlamParameters, route: Route, segment: Segment
) -> AlgorithmIdentification:
    """Return the algorithm's identification, with all parameters that decide what counts as a finding."""
    thresholds = tuple(
        (f"{kind}.{name}", f"{value:g}")
        for kind, point in sorted(package.operating_points.items())
        for name, value in asdict(point).items()
    )
    counts = tuple((name, str(value)) for name, value in asdict(parameters).items())
    closing = package.shape.get("local_closing", 0)
    filled = (("local_closing", str(closing)),) if closing else ()
    always = () if segment is Segment.POSITIVE else (("segment", str(segment)),)
    return AlgorithmIdentification(
        algorithm_name=package.algorithm_name,
        algorithm_version=package.algorithm_version,
        weights_sha256=package.weights_sha256,
        trained=package.trained,
        parameters=thresholds + score_parameters(package) + counts + filled + always + route.parameters,
    )
