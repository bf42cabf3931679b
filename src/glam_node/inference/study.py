"""The analysis of one study by one predictor."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings, ImageFindings
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.predictor import Predictor
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindPolicy


@dataclass(frozen=True, slots=True)
class SourceImage:
    """A screening view on disk, and the identity that its header states."""

    path: Path
    sop_instance_uid: str
    image_laterality: Laterality
    view_position: ViewPosition
    shape: tuple[int, int]
    """Rows and Columns."""


def segment_study(
    study_instance_uid: str,
    sources: Sequence[SourceImage],
    predictor: Predictor,
    policy: KindPolicy | None = CONVENTIONAL_VIEWS,
) -> Findings:
    """Read and analyse the images of one study.

    Args:
        study_instance_uid: Study Instance UID of the result.
        sources: The images.
        predictor: The model.
        policy: The kinds of image that may be read; None: any, as in `read_mammogram`.

    Returns:
        One result per source, in order. The result of an image that cannot be read has `failure` set; the others are
        analysed all the same.

    Raises:
        DeviceUnavailable: The device was lost.
        OSError: A file cannot be read.
    """
    started = time.monotonic()
    mammograms: dict[str, Mammogram] = {}
    results: dict[str, ImageFindings] = {}
    for source in sources:
        try:
            mammograms[source.sop_instance_uid] = read_mammogram(read_dataset(source.path), policy)
        except UnsupportedMammogram as refusal:
            results[source.sop_instance_uid] = _failed(source, str(refusal))
    stages = [("read", time.monotonic() - started)]
    if mammograms:
        started = time.monotonic()
        results.update(zip(mammograms, predictor.segment(list(mammograms.values())), strict=True))
        stages += _stages(predictor, time.monotonic() - started)
    return Findings(
        study_instance_uid=study_instance_uid,
        algorithm=predictor.algorithm,
        images=tuple(results[source.sop_instance_uid] for source in sources),
        stage_seconds=tuple(stages),
    )


def _failed(source: SourceImage, reason: str) -> ImageFindings:
    return ImageFindings(
        sop_instance_uid=source.sop_instance_uid,
        image_laterality=source.image_laterality,
        view_position=source.view_position,
        shape=source.shape,
        benign_score=None,
        malignant_score=None,
        failure=reason,
    )


def _stages(predictor: Predictor, seconds: float) -> list[tuple[str, float]]:
    """Return the seconds of each stage that the predictor measures, or of the whole analysis if it measures none."""
    stages: dict[str, float] = getattr(predictor, "last_stage_seconds", {})
    return list(stages.items()) or [("segment", seconds)]
