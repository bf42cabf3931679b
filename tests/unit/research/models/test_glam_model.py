"""Tests that evaluation measures GLAM as its predictor reports findings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import CHANNELS, FindingKind, ImageFindings
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.glam.shape import shape_from_table
from glam_node.inference.glam.weights import seeded_state_dict
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.package import ModelPackage, OperatingPoint
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from glam_node.research.evaluation.measure.image_measures import regions_of
from glam_node.research.models.glam_model import GlamModel
from glam_node.research.models.saliency_model import Opinion, require_valid

SHAPE = {
    "reduction": 4,
    "global_stem_channels": 4,
    "global_channels": [4, 4, 8, 8],
    "global_strides": [1, 2, 2, 2],
    "global_blocks": 1,
    "global_stem_pool": False,
    "local_channels": [4, 4, 8, 8],
    "local_blocks": [1, 1, 1, 1],
    "local_stem_pool": False,
}
POINT = OperatingPoint(
    image_score_threshold=0.0, local_saliency_threshold=0.55, global_saliency_threshold=0.5, minimum_area_px=40
)


def package() -> ModelPackage:
    """Return a tiny GLAM with untrained weights."""
    return ModelPackage(
        path=Path("nowhere"),
        architecture="glam",
        algorithm_name="tiny",
        algorithm_version="1",
        trained=False,
        weights_sha256=seeded_state_dict(5, shape_from_table(SHAPE))[1],
        seed=5,
        operating_points=dict.fromkeys(FindingKind, POINT),
        parameters={"patches_per_image": 2, "maximum_findings_per_class": 10_000},
        shape=SHAPE,
    )


@pytest.fixture(scope="module")
def mammogram() -> Mammogram:
    """Return a right breast that is smaller than the window, without its pixel spacing."""
    return replace(read_mammogram(make_exam(3, rows=832, columns=640)[0].dataset), imager_pixel_spacing=None)


@pytest.fixture(scope="module")
def opinion(mammogram: Mammogram) -> Opinion:
    """Return the opinion of the tiny model."""
    return GlamModel.from_package(package(), "cpu").look(mammogram)


@pytest.fixture(scope="module")
def reported(mammogram: Mammogram) -> ImageFindings:
    """Return the findings of the predictor of the same package."""
    return GlamPredictor.from_package(package(), "cpu").segment([mammogram])[0]


def test_the_opinion_has_the_pixels_of_the_image(mammogram: Mammogram, opinion: Opinion) -> None:
    assert mammogram.image_laterality is Laterality.RIGHT
    assert mammogram.view_position is ViewPosition.CC
    require_valid(opinion, mammogram.shape)


def test_the_scores_are_those_of_the_predictor(opinion: Opinion, reported: ImageFindings) -> None:
    assert opinion.scores == pytest.approx((reported.benign_score, reported.malignant_score), abs=2e-6)


@pytest.mark.parametrize("kind", CHANNELS)
def test_the_regions_are_the_findings_of_the_predictor(
    kind: FindingKind, opinion: Opinion, reported: ImageFindings
) -> None:
    regions = regions_of(opinion, CHANNELS.index(kind), POINT, None)
    findings = [finding for finding in reported.findings if finding.kind is kind]
    assert len(findings) > 1
    assert sorted(regions.areas.tolist()) == sorted(finding.pixel_count for finding in findings)
    assert np.sort(regions.scores) == pytest.approx(sorted(finding.score for finding in findings), abs=1e-5)


def test_the_published_map_is_at_most_half_where_the_local_network_did_not_look(opinion: Opinion) -> None:
    assert opinion.evidence is not None
    assert opinion.saliency[:, ~opinion.evidence.closely].max() <= 0.5
    assert opinion.evidence.closely.any()


def test_an_image_that_the_node_would_refuse_is_refused(mammogram: Mammogram) -> None:
    with pytest.raises(UnsupportedMammogram, match="spacing"):
        GlamModel.from_package(package(), "cpu").look(replace(mammogram, imager_pixel_spacing=(0.5, 0.5)))
