"""Comparison of an imperfect model's evaluation with an independent count from its opinions and outlines."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, brier_score_loss, precision_recall_curve, roc_auc_score

from glam_node.inference.findings import CHANNELS
from glam_node.inference.mammogram import Laterality, Mammogram
from glam_node.inference.package import OperatingPoint
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.evaluation.evaluate_models import ModelEvaluation, evaluate
from glam_node.research.evaluation.measure.bootstrap import Estimate
from glam_node.research.evaluation.measure.calibration import Calibration
from glam_node.research.evaluation.measure.classification import Classification
from glam_node.research.evaluation.measure.localisation import FindingMeasures, OverlapMeasures
from glam_node.research.models.saliency_model import Opinion
from tests.unit.research.evaluation.toys import SHAPE, ToyDataset

RESAMPLES = 1000
TOYS = ToyDataset(range(60), lambda woman: "validation" if woman < 20 else "test")
EIGHT = np.ones((3, 3))
KINDS = pytest.mark.parametrize("place", [0, 1], ids=["benign", "malignant"])

Mask = NDArray[np.bool_]


@dataclass
class Erring:
    """A model whose saliency is smooth noise plus brightness, and whose scores correlate weakly with the lesions."""

    name: str = "erring"

    def look(self, mammogram: Mammogram) -> Opinion:
        """Return an opinion that depends on the image alone."""
        chance = np.random.default_rng(list(mammogram.sop_instance_uid.encode()))
        side = 0 if mammogram.image_laterality is Laterality.LEFT else 1
        noise = ndimage.gaussian_filter(chance.normal(size=(2, *SHAPE)), (0, 1, 1))
        bright = ndimage.uniform_filter((mammogram.pixels > 3000).astype(float), 3)
        values = 0.25 + 0.3 * noise
        values[side] += 0.5 * bright
        scores = chance.normal(0.4, 0.15, 2)
        scores[side] += 0.2 * bright.max()
        saliency = np.clip(values, 0, 1).astype(np.float32)
        return Opinion((float(np.clip(scores[0], 0.01, 0.99)), float(np.clip(scores[1], 0.01, 0.99))), saliency)


@dataclass
class Counted:
    """One class of all test views: the model's scores and maps, and the lesions."""

    views: list[LabelledView]
    scores: NDArray[np.float64]
    labels: Mask
    maps: list[NDArray[np.float32]]
    lesions: list[Mask]
    normal: Mask

    @property
    def outlined(self) -> list[tuple[NDArray[np.float32], Mask]]:
        """Maps and lesions of the images that have a lesion."""
        return [(one, lesion) for one, lesion in zip(self.maps, self.lesions, strict=True) if lesion.any()]


@pytest.fixture(scope="module")
def evaluated() -> ModelEvaluation:
    return evaluate(TOYS, [Erring()], resamples=RESAMPLES).models[0]


@pytest.fixture(scope="module")
def everything() -> list[Counted]:
    views = [view for view in TOYS.views if view.split == "test"]
    opinions = [Erring().look(TOYS.read(view)) for view in views]
    masks = [TOYS.masks(view) or {} for view in views]
    return [
        Counted(
            views,
            np.array([opinion.scores[place] for opinion in opinions]),
            np.array([view.labels[place] for view in views]),
            [opinion.saliency[place] for opinion in opinions],
            [mask[kind] for mask in masks],
            np.array([not any(view.labels) for view in views]),
        )
        for place, kind in enumerate(CHANNELS)
    ]


def assert_areas(measured: Classification, scores: NDArray[np.float64], labels: Mask) -> None:
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert measured.roc_auc.value == pytest.approx(roc_auc_score(labels, scores))
    assert measured.pr_auc.value == pytest.approx(auc(recall, precision))
    assert [measured.positives, measured.negatives] == [int(labels.sum()), int((~labels).sum())]
    assert 0.6 < roc_auc_score(labels, scores) < 0.99, "a model that errs neither always nor never"


@KINDS
def test_areas_of_images_breasts_and_studies_equal_an_independent_count(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    measured, counted = evaluated.classes[place], everything[place]
    assert_areas(measured.image, counted.scores, counted.labels)
    breasts, labels = defaultdict(list), {}
    for view, score, label in zip(counted.views, counted.scores, counted.labels, strict=True):
        breast = view.image_id.rsplit("-", 1)[0]
        breasts[breast].append(score)
        labels[breast] = bool(label)
    means = {breast: float(np.mean(scores)) for breast, scores in breasts.items()}
    assert_areas(measured.breast, np.array(list(means.values())), np.array(list(labels.values())))
    women = sorted({breast.split("-")[0] for breast in means})
    of_woman = [[breast for breast in means if breast.split("-")[0] == woman] for woman in women]
    highest = np.array([max(means[breast] for breast in mine) for mine in of_woman])
    assert_areas(measured.study, highest, np.array([any(labels[breast] for breast in mine) for mine in of_woman]))


def test_the_interval_of_an_area_equals_that_of_copied_rows(
    evaluated: ModelEvaluation, everything: list[Counted]
) -> None:
    """By copying the rows of women that are drawn."""
    counted = everything[0]
    women = np.array([view.study_id for view in counted.views])
    chance, names = np.random.default_rng(77), np.unique(women)
    rows_of = {name: np.flatnonzero(women == name) for name in names}
    areas = []
    for _ in range(250):
        drawn = np.concatenate([rows_of[name] for name in chance.choice(names, len(names))])
        areas.append(roc_auc_score(counted.labels[drawn], counted.scores[drawn]))
    low, high = np.percentile(areas, [2.5, 97.5])
    measured = evaluated.classes[0].image.roc_auc
    assert measured.low == pytest.approx(low, abs=0.03)
    assert measured.high == pytest.approx(high, abs=0.03)
    assert high - low > 0.06


def maps_of(evaluated: ModelEvaluation, place: int) -> OverlapMeasures:
    measured = evaluated.classes[place].maps
    assert measured is not None
    return measured


def dice(found: Mask, lesion: Mask) -> float:
    return 2 * float((found & lesion).sum()) / float(found.sum() + lesion.sum())


@KINDS
def test_dice_at_the_stated_and_the_best_threshold_equals_an_independent_count(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    measured, outlined = maps_of(evaluated, place), everything[place].outlined
    assert measured.threshold is not None
    stated = [dice(values > measured.threshold, lesion) for values, lesion in outlined]
    assert measured.dice.value == pytest.approx(np.mean(stated))
    assert measured.miss_rate.value == pytest.approx(np.mean([one < 0.1 for one in stated]))
    best = [max(dice(values >= one, lesion) for one in np.unique(values)) for values, lesion in outlined]
    assert measured.oracle_dice.value == pytest.approx(np.mean(best), abs=2e-3)
    assert 0.2 < np.mean(stated) < np.mean(best) < 0.95
    assert measured.dice.count == len(outlined) == 40


@KINDS
def test_measures_without_a_threshold_equal_independent_ones(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    measured, outlined = maps_of(evaluated, place), everything[place].outlined
    soft = [2 * values[lesion].sum() / (values.sum() + lesion.sum()) for values, lesion in outlined]
    assert measured.soft_dice.value == pytest.approx(np.mean(soft), rel=1e-5)
    own = [average_precision_score(lesion.ravel(), values.ravel()) for values, lesion in outlined]
    assert measured.mean_average_precision.value == pytest.approx(np.mean(own), abs=2e-3)
    pixels = np.concatenate([values.ravel() for values, _ in outlined])
    truth = np.concatenate([lesion.ravel() for _, lesion in outlined])
    assert measured.pooled_average_precision.value == pytest.approx(average_precision_score(truth, pixels), abs=2e-3)
    assert all((values == values.max()).sum() == 1 for values, _ in outlined)
    pointing = [lesion.ravel()[values.argmax()] for values, lesion in outlined]
    assert measured.pointing_hit.value == pytest.approx(np.mean(pointing))


def regions(values: NDArray[np.float32], point: OperatingPoint) -> list[Mask]:
    """Return the masks of the 8-connected regions that are large enough."""
    labels, count = ndimage.label(values > point.global_saliency_threshold, EIGHT)
    return [labels == one for one in range(1, count + 1) if (labels == one).sum() >= point.minimum_area_px]


def hits(region: Mask, lesion: Mask) -> bool:
    return bool((region & lesion).sum() >= 0.1 * (region | lesion).sum())


def findings_of(evaluated: ModelEvaluation, place: int) -> tuple[FindingMeasures, OperatingPoint]:
    measured, point = evaluated.classes[place].findings, evaluated.tuning.classes[place].point
    assert measured is not None and point is not None
    return measured, point


@KINDS
def test_findings_at_the_operating_point_equal_an_independent_count(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    (measured, point), counted = findings_of(evaluated, place), everything[place]
    passes = counted.scores >= point.image_score_threshold
    found = [regions(values, point) for values in counted.maps]
    rows = list(zip(found, counted.lesions, passes, counted.normal, strict=True))
    overlap, hit = [], []
    for mine, lesion, passed, _ in rows:
        if lesion.any():
            joined = np.any(mine, axis=0) if mine and passed else np.zeros(SHAPE, dtype=bool)
            overlap.append(dice(joined, lesion))
            hit.append(bool(passed) and any(hits(one, lesion) for one in mine))
    false = [len(mine) if passed else 0 for mine, _, passed, normal in rows if normal]
    ungated = [len(mine) for mine, _, _, normal in rows if normal]
    assert measured.dice.value == pytest.approx(np.mean(overlap))
    assert measured.lesion_sensitivity.value == pytest.approx(np.mean(hit))
    assert measured.false_positives_per_normal.value == pytest.approx(np.mean(false))
    assert measured.ungated_false_positives_per_normal.value == pytest.approx(np.mean(ungated))
    assert measured.normals_with_findings.value == pytest.approx(np.mean([one > 0 for one in false]))
    assert sum(ungated) > 0, "a model that never errs on a normal image proves nothing"


@KINDS
def test_the_free_response_curve_equals_an_independent_count(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    (measured, point), counted = findings_of(evaluated, place), everything[place]
    false, best = [], []
    for values, lesion, normal in zip(counted.maps, counted.lesions, counted.normal, strict=True):
        mine = regions(values, point)
        if normal:
            false += [float(values[one].max()) for one in mine]
        elif lesion.any():
            best.append(max((float(values[one].max()) for one in mine if hits(one, lesion)), default=0.0))
    thresholds = sorted({*false, *best} - {0.0}, reverse=True)
    points = [
        (np.sum(np.array(false) >= least) / counted.normal.sum(), np.mean(np.array(best) >= least))
        for least in thresholds
    ]
    for rate, estimate in measured.sensitivity_at:
        reached = max((sensitivity for errors, sensitivity in points if errors <= rate), default=0.0)
        assert estimate.value == pytest.approx(reached)


def expected_error(scores: NDArray[np.float64], labels: Mask) -> float:
    """Return the ECE of ten bins of equal width."""
    bins = np.clip(np.floor(scores * 10), 0, 9)
    gaps = [(bins == one).mean() * abs((scores - labels)[bins == one].mean()) for one in np.unique(bins)]
    return float(np.sum(gaps))


def assert_calibrated(measured: Calibration | None, scores: NDArray[np.float64], labels: Mask) -> None:
    assert measured is not None
    assert measured.brier == pytest.approx(brier_score_loss(labels, scores))
    assert measured.expected_error == pytest.approx(expected_error(scores, labels))


@KINDS
def test_calibration_before_and_after_the_fitted_scale_equals_an_independent_count(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    measured, counted = evaluated.classes[place], everything[place]
    assert_calibrated(measured.calibration, counted.scores, counted.labels)
    scale = evaluated.tuning.classes[place].platt
    assert scale is not None
    margins = np.log(counted.scores / (1 - counted.scores))
    scaled = 1 / (1 + np.exp(-(scale.slope * margins + scale.intercept)))
    assert_calibrated(measured.platt_calibration, scaled, counted.labels)


def value_of(estimate: Estimate) -> float:
    assert estimate.value is not None
    return estimate.value


@KINDS
def test_sensitivity_and_specificity_equal_an_independent_count(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    (_, point), counted, measured = findings_of(evaluated, place), everything[place], evaluated.classes[place]
    positive = counted.scores >= point.image_score_threshold
    assert value_of(measured.sensitivity) == pytest.approx(positive[counted.labels].mean())
    assert value_of(measured.specificity) == pytest.approx((~positive)[~counted.labels].mean())
    assert value_of(measured.specificity) < 1


@KINDS
def test_the_measures_of_a_density_equal_those_of_its_images_alone(
    evaluated: ModelEvaluation, everything: list[Counted], place: int
) -> None:
    groups = {each.name: each for each in evaluated.classes[place].subgroups}
    assert list(groups) == ["View CC", "View MLO", "Density A", "Density B", "Density C", "Density D"]
    counted, group = everything[place], groups["Density A"]
    inside = np.array([view.breast_density == "A" for view in counted.views])
    scores, labels = counted.scores[inside], counted.labels[inside]
    point = evaluated.tuning.classes[place].point
    assert point is not None
    judged = scores >= point.image_score_threshold
    assert (group.positives, group.negatives) == (labels.sum(), (~labels).sum())
    assert value_of(group.roc_auc) == pytest.approx(roc_auc_score(labels, scores))
    assert value_of(group.sensitivity) == pytest.approx(judged[labels].mean())
    assert value_of(group.specificity) == pytest.approx((~judged)[~labels].mean())


def test_the_dice_of_both_views_makes_that_of_the_whole(evaluated: ModelEvaluation) -> None:
    for each in evaluated.classes:
        of_views = [group.dice for group in each.subgroups if group.name.startswith("View")]
        assert each.maps is not None
        total = sum(value_of(dice) * dice.count for dice in of_views)
        assert total / each.maps.dice.count == pytest.approx(value_of(each.maps.dice))
