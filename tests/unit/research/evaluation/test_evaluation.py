"""Tests of the evaluation of several models on one data set: frozen thresholds, measures and reported failures."""

import numpy as np
import pytest

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import FindingKind
from glam_node.inference.package import OperatingPoint
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.evaluation.evaluate_models import Evaluation, evaluate
from glam_node.research.evaluation.measure.parts import divide
from glam_node.research.evaluation.measure.tuning import Wanted
from glam_node.research.models.saliency_model import Opinion, require_valid
from tests.unit.research.evaluation.toys import SHAPE, SIDE, ToyDataset, ToyModel


def by_tens(woman: int) -> str:
    """Assign the first ten women to validation and the others to the test."""
    return "validation" if woman < 10 else "test"


TOYS = ToyDataset(range(20), by_tens)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Evaluate a model that sees all lesions and one that sees hardly any."""
    return evaluate(TOYS, [ToyModel("sharp", 0.1, evidence=True), ToyModel("blind", 9.0)], resamples=100)


def test_a_model_that_sees_everything_is_perfect(evaluation: Evaluation) -> None:
    for measures in evaluation.models[0].classes:
        assert measures.maps is not None
        assert measures.findings is not None
        assert (measures.image.roc_auc.value, measures.image.pr_auc.value) == (1.0, 1.0)
        assert measures.maps.dice.value == pytest.approx(1.0)
        assert measures.maps.pooled_average_precision.low == pytest.approx(1.0)
        assert (measures.maps.pointing_hit.value, measures.maps.miss_rate.value) == (1.0, 0.0)
        assert measures.findings.dice.value == pytest.approx(1.0)
        assert measures.findings.lesion_sensitivity.value == 1.0
        assert measures.findings.false_positives_per_normal.value == 0.0
        assert (measures.sensitivity.value, measures.specificity.value) == (1.0, 1.0)


def test_only_test_views_are_measured(evaluation: Evaluation) -> None:
    assert (evaluation.view_count, evaluation.study_count) == (40, 10)
    assert {row.view.split for row in evaluation.models[0].rows} == {"test"}
    assert evaluation.models[0].tuning.view_count == 40


def test_images_breasts_and_studies_are_counted_as_such(evaluation: Evaluation) -> None:
    benign = evaluation.models[0].classes[0]
    counts = [(level.positives, level.negatives) for level in (benign.image, benign.breast, benign.study)]
    assert counts == [(10, 30), (5, 15), (5, 5)]


def test_the_difference_of_two_models_has_an_interval(evaluation: Evaluation) -> None:
    benign = evaluation.comparisons[0]
    assert (benign.first, benign.other, benign.kind) == ("sharp", "blind", FindingKind.BENIGN)
    assert benign.dice_difference.low is not None and benign.dice_difference.low > 0.1
    assert benign.dice_ratio.value is not None and benign.dice_ratio.value > 1.2


def test_dice_by_lesion_size_has_three_groups_of_images(evaluation: Evaluation) -> None:
    maps = evaluation.models[0].classes[0].maps
    assert maps is not None
    assert [(each.dice.count, each.largest_px) for each in maps.dice_by_area] == [(4, 16), (3, 16), (3, 16)]


def test_the_node_reports_no_more_false_findings_on_normals_than_wanted_where_that_was_chosen() -> None:
    evaluation = evaluate(TOYS, [ToyModel("noisy", 9.0)], wanted=Wanted(false_positives_per_normal=0.5), resamples=0)
    areas = [each.point.minimum_area_px for each in evaluation.models[0].tuning.classes if each.point]
    assert min(areas) > 1


def test_unreadable_views_are_named_and_not_counted() -> None:
    toys = ToyDataset(range(20), by_tens, unreadable=("12-L-CC", "3-R-CC"))
    model = evaluate(toys, [ToyModel()], resamples=10).models[0]
    assert [failure.image_id for failure in model.failures] == ["12-L-CC"]
    assert [failure.reason for failure in model.tuning.failures] == ["The image is black everywhere."]
    assert len(model.rows) == 39


def test_a_breast_with_one_view_unreadable_has_the_score_of_the_other() -> None:
    toys = ToyDataset(range(20), by_tens, unreadable=("12-L-CC",))
    assert evaluate(toys, [ToyModel()], resamples=0).models[0].classes[0].breast.positives == 5


def test_only_scores_are_measured_without_outlines() -> None:
    model = evaluate(ToyDataset(range(20), by_tens, outlined=False), [ToyModel()], resamples=10).models[0]
    assert model.classes[0].image.roc_auc.value == 1.0
    assert (model.classes[0].maps, model.classes[0].findings) == (None, None)
    assert "No validation image has an outlined benign lesion" in model.tuning.classes[0].remarks[0]


def test_normal_images_alone_give_no_areas_and_no_error() -> None:
    model = evaluate(ToyDataset(range(20), by_tens, lesions=False), [ToyModel()], resamples=10).models[0]
    assert model.classes[1].image.roc_auc.value is None
    assert len(model.tuning.classes[1].remarks) == 2


def test_the_operating_points_of_the_package_are_measured_on_request() -> None:
    point = OperatingPoint(0.5, 0.5, 0.5, SIDE * SIDE + 1)
    kept = {"toy": dict.fromkeys(FindingKind, point)}
    model = evaluate(TOYS, [ToyModel(evidence=True)], kept_points=kept, resamples=10).models[0]
    assert model.tuning.classes[0].point == point
    assert model.classes[0].findings is not None
    assert model.classes[0].findings.dice.value == 0.0


def test_a_view_is_analysed_once_and_a_normal_validation_view_twice() -> None:
    model = ToyModel()
    evaluate(TOYS, [model], resamples=0)
    assert model.looks == 40 + 20 + 40


def test_half_of_the_studies_are_for_validation_without_assigned_parts() -> None:
    parts = divide(ToyDataset(range(40)))
    chosen_on, measured = ({view.study_id for view in views} for views in (parts.validation_views, parts.test_views))
    assert not chosen_on & measured
    assert 10 < len(chosen_on) < 30
    assert "one half of the studies" in parts.rule


def test_thresholds_may_be_chosen_on_another_data_set() -> None:
    parts = divide(ToyDataset(range(5)), ToyDataset(range(5, 9), name="others"))
    assert (len(parts.validation_views), len(parts.test_views)) == (16, 20)
    assert "others" in parts.rule


def test_data_sets_that_share_images_cannot_be_divided() -> None:
    with pytest.raises(DatasetError, match=r"have images in common \(8\)"):
        divide(ToyDataset(range(5)), ToyDataset(range(3, 9)))


def test_one_study_cannot_be_halved() -> None:
    with pytest.raises(DatasetError, match="both are needed"):
        divide(ToyDataset([1]))


def test_models_need_distinct_names() -> None:
    with pytest.raises(ValueError, match="distinct names"):
        evaluate(TOYS, [ToyModel(), ToyModel()])


def test_pooled_average_precision_lies_in_its_interval(evaluation: Evaluation) -> None:
    maps = evaluation.models[1].classes[0].maps
    assert maps is not None
    pooled = maps.pooled_average_precision
    assert pooled.value is not None and pooled.low is not None and pooled.high is not None
    assert pooled.low < pooled.value < pooled.high


@pytest.mark.parametrize(
    ("opinion", "words"),
    [
        (Opinion((0.5, 1.5), np.zeros((2, *SHAPE), dtype=np.float32)), "scores"),
        (Opinion((0.5, 0.5), np.full((2, *SHAPE), np.nan, dtype=np.float32)), "not 0 to 1"),
        (Opinion((0.5, 0.5), np.zeros((1, *SHAPE), dtype=np.float32)), "must be float32"),
    ],
)
def test_an_invalid_opinion_of_a_model_stops_the_evaluation(opinion: Opinion, words: str) -> None:
    with pytest.raises(PackageMismatch, match=words):
        require_valid(opinion, SHAPE)
