"""A predictor without a network, for trials and tests; its findings are bright regions, computed in milliseconds."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.card import PACKAGE_FILE
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import (
    CHANNELS,
    AlgorithmIdentification,
    Finding,
    FindingKind,
    ImageFindings,
    SaliencyMap,
    quantised,
)
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import REFERENCE_RUN, RunOptions
from glam_node.inference.package import ModelPackage, read_package, score_parameters

ARCHITECTURE = "threshold"
WEIGHTS_SHA256 = hashlib.sha256(b"glam-node threshold 1").hexdigest()

# In glam-node's phantoms the round, benign lesions are brighter than this and the spiculated, malignant ones are not.
_LEAST_BENIGN_SALIENCY = 0.91

_LEAST_FULL_SCALE = 4095
# A region that is smaller than this fraction of the image is noise.
_LEAST_AREA = 1 / 16_000
# An image with at least twice this number of rows has a map whose cells cover several pixels.
_MAP_ROWS = 416

_PACKAGE_TOML = f"""\
# Bright regions, no network: for trials and tests of the node. Research use only.
format_version = 1
architecture = "{ARCHITECTURE}"
algorithm_name = "Threshold"
algorithm_version = "1"
trained = false

[weights]
sha256 = "{WEIGHTS_SHA256}"
seed = 0

[operating_points.benign]
image_score_threshold = 0.5
local_saliency_threshold = 0.67
global_saliency_threshold = 0.67
minimum_area_px = 8

[operating_points.malignant]
image_score_threshold = 0.5
local_saliency_threshold = 0.67
global_saliency_threshold = 0.67
minimum_area_px = 8
"""


def threshold_package(path: Path) -> ModelPackage:
    """Write the package of this predictor into directory `path`, which is created if needed, and return it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / PACKAGE_FILE).write_text(_PACKAGE_TOML, encoding="utf-8")
    return read_package(path)


class ThresholdPredictor:
    """The predictor, whose findings are connected regions brighter than the global saliency threshold.

    The brightest regions count as benign, as in glam-node's phantoms. Saliency is brightness as a fraction of full
    scale. Full scale is the smallest 2^n - 1 with n >= 12 that is not below the brightest pixel.
    """

    def __init__(self, package: ModelPackage) -> None:
        self._operating_points = package.operating_points
        self._algorithm = AlgorithmIdentification(
            algorithm_name=package.algorithm_name,
            algorithm_version=package.algorithm_version,
            weights_sha256=package.weights_sha256,
            trained=package.trained,
            parameters=tuple(
                (f"{kind}.{name}", f"{value:g}")
                for kind, point in package.operating_points.items()
                for name, value in (
                    ("global_saliency_threshold", point.global_saliency_threshold),
                    ("minimum_area_px", point.minimum_area_px),
                )
            )
            + score_parameters(package),
        )

    @property
    def algorithm(self) -> AlgorithmIdentification:
        """The identification of the algorithm, which does not change while the predictor exists."""
        return self._algorithm

    @classmethod
    def built_in_package(cls) -> ModelPackage:
        """Return the package that is used when the settings name none."""
        with TemporaryDirectory() as directory:
            return threshold_package(Path(directory))

    @classmethod
    def from_package(
        cls,
        package: ModelPackage,
        device: str,  # noqa: ARG003 - this predictor runs on any device
        options: RunOptions = REFERENCE_RUN,  # noqa: ARG003 - this predictor has no options
    ) -> Self:
        """Return the predictor of a "threshold" package; raise PackageMismatch for any other package."""
        if package.architecture != ARCHITECTURE or package.weights_sha256 != WEIGHTS_SHA256:
            raise PackageMismatch(f"{package.path} is a {package.architecture} package, not a {ARCHITECTURE} package.")
        return cls(package)

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Return one result per mammogram, in order; the result of an image that is all black has `failure` set."""
        return [self._segment_one(mammogram) for mammogram in mammograms]

    def _segment_one(self, mammogram: Mammogram) -> ImageFindings:
        brightest = int(mammogram.pixels.max())
        if brightest == 0:
            return self._result(mammogram, (), failure="The image is black everywhere: there is no breast to analyse.")
        saliency = mammogram.pixels.astype(np.float32) / max(_LEAST_FULL_SCALE, 2 ** brightest.bit_length() - 1)
        return self._result(mammogram, tuple(self._findings(saliency)), saliency=_map_of(saliency))

    def _findings(self, saliency: NDArray[np.float32]) -> Iterator[Finding]:
        lowest = min(point.global_saliency_threshold for point in self._operating_points.values())
        bright = (saliency > lowest).astype(np.uint8)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
        for label in range(1, count):
            left, top, width, height, area = (int(value) for value in boxes[label])
            region = np.s_[top : top + height, left : left + width]
            mask = labels[region] == label
            score = float(saliency[region][mask].max())
            kind = FindingKind.BENIGN if score >= _LEAST_BENIGN_SALIENCY else FindingKind.MALIGNANT
            point = self._operating_points[kind]
            if (
                area >= max(point.minimum_area_px, _LEAST_AREA * saliency.size)
                and score > point.global_saliency_threshold
            ):
                yield Finding(kind=kind, score=score, origin=(top, left), mask=mask)

    def _result(
        self,
        mammogram: Mammogram,
        findings: tuple[Finding, ...],
        failure: str | None = None,
        saliency: SaliencyMap | None = None,
    ) -> ImageFindings:
        scores = {
            kind: max((finding.score for finding in findings if finding.kind is kind), default=0.0)
            for kind in FindingKind
        }
        return ImageFindings(
            sop_instance_uid=mammogram.sop_instance_uid,
            image_laterality=mammogram.image_laterality,
            view_position=mammogram.view_position,
            shape=mammogram.shape,
            benign_score=None if failure else scores[FindingKind.BENIGN],
            malignant_score=None if failure else scores[FindingKind.MALIGNANT],
            findings=findings,
            failure=failure,
            remarks=mammogram.remarks,
            saliency=saliency,
        )


def _map_of(saliency: NDArray[np.float32]) -> SaliencyMap:
    """Return a saliency map that is the same for both classes; a cell of several pixels holds their mean."""
    rows, columns = saliency.shape
    step = max(1, rows // _MAP_ROWS)
    height, width = -(-rows // step), -(-columns // step)
    padded = np.pad(saliency, ((0, height * step - rows), (0, width * step - columns)), mode="edge")
    cells = cv2.resize(padded, (width, height), interpolation=cv2.INTER_AREA)
    return SaliencyMap(
        np.stack([quantised(np.asarray(cells, dtype=np.float32))] * len(CHANNELS)), step, (0, 0), (0, 0, rows, columns)
    )
