"""Tests that the baselines train with GLAM's code, and that evaluation reads their packages."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glam_node.inference.errors import PackageMismatch, UnsupportedMammogram
from glam_node.inference.glam.package_golden import GOLDEN_FILE
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from glam_node.research.datasets.open import open_dataset
from glam_node.research.evaluation.evaluate_package import load_models
from glam_node.research.models.networks import Cam, Gmic, GmicLocal, new_learner, squash
from glam_node.research.models.saliency_model import Opinion, SaliencyModel, require_valid
from glam_node.research.training.recipe import AugmentationRecipe, Recipe, StageRecipe, find_recipe, read_recipe
from glam_node.research.training.run import write_trained_package
from glam_node.research.training.trainer import TrainingData
from tests.unit.research.training.toy import RECIPE, SMALL, trainer

SHAPE = replace(RECIPE.shape, global_strides=(1, 1, 1))
GMIC = replace(RECIPE, baseline="gmic", shape=SHAPE, patches_per_image=2)
CAM = replace(RECIPE, baseline="cam", shape=SHAPE, local_stage=StageRecipe(), joint_stage=StageRecipe())
RECIPES = {"cam": CAM, "gmic": GMIC}


@pytest.fixture(scope="module", params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    """Return the toy recipe of each baseline."""
    return RECIPES[request.param]


@pytest.fixture(scope="module")
def package(recipe: Recipe, data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Return the package after a few steps."""
    out = tmp_path_factory.mktemp(recipe.baseline)
    return write_trained_package(trainer(data, out, recipe).run(), recipe, out / "package")


@pytest.fixture(scope="module")
def mammogram() -> Mammogram:
    """Return a view that no training used."""
    view = make_exam(3, rows=832, columns=640)[0]
    return replace(read_mammogram(view.dataset), imager_pixel_spacing=None)


@pytest.fixture(scope="module")
def model(package: ModelPackage) -> SaliencyModel:
    """Return the model as evaluation loads it."""
    return load_models([package], "cpu")[0]


@pytest.fixture(scope="module")
def opinion(model: SaliencyModel, mammogram: Mammogram) -> Opinion:
    """Return the model's opinion on that view."""
    return model.look(mammogram)


def weights(data: TrainingData, out: Path, recipe: Recipe, *stops: int | None) -> dict[str, Tensor]:
    for stop in stops:
        network = trainer(data, out, recipe).run(stop)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_opinion_has_the_pixels_of_the_image(mammogram: Mammogram, opinion: Opinion) -> None:
    require_valid(opinion, mammogram.shape)


def test_findings_lie_within_the_breast_and_are_judged_by_one_threshold(opinion: Opinion) -> None:
    assert opinion.evidence is not None
    assert not opinion.evidence.closely.any()
    outside = opinion.evidence.saliency == 0
    assert outside.any()
    assert (opinion.evidence.saliency[~outside] == opinion.saliency[~outside]).all()


def test_a_package_gives_the_results_of_the_trained_network(
    recipe: Recipe, data: TrainingData, tmp_path: Path, model: SaliencyModel
) -> None:
    inputs, _ = data.validation.batch(torch.tensor([0]))
    network = trainer(data, tmp_path, recipe).run()
    with torch.no_grad():
        overview = network.look(inputs, recipe.patches_per_image).overview
    dataset = open_dataset("phantoms", "10:11", **SMALL)
    mammogram = replace(dataset.read(dataset.views[0]), imager_pixel_spacing=None)
    opinion = model.look(mammogram)
    # Prepared views are kept in float16.
    assert opinion.scores == pytest.approx(overview.scores[0].tolist(), abs=2e-3)
    assert opinion.saliency.max() == pytest.approx(overview.saliency.max().item(), abs=2e-2)


def test_a_run_that_was_stopped_in_every_stage_ends_with_the_same_weights(
    recipe: Recipe, data: TrainingData, tmp_path: Path
) -> None:
    whole = weights(data, tmp_path / "whole", recipe, None)
    stopped = weights(data, tmp_path / "stopped", recipe, 1, 3, None)
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_every_part_of_the_network_learns(recipe: Recipe, data: TrainingData, tmp_path: Path) -> None:
    after = weights(data, tmp_path, recipe, None)
    before = new_learner(recipe.baseline, recipe.shape, recipe.seed).state_dict()
    heads = [name for name in before if name.split(".")[-2] in ("head", "classes", "attention") and "weight" in name]
    assert heads
    assert all(not torch.equal(before[name], after[name]) for name in heads)


def test_the_loss_falls(recipe: Recipe, data: TrainingData, tmp_path: Path) -> None:
    told: list[str] = []
    stage = StageRecipe(
        steps=60 if recipe is CAM else 30, batch_size=8, learning_rate=3e-2, top_fraction=0.01, sparsity=0.0
    )
    as_they_are = AugmentationRecipe(shift_px=0, size_px=0, vertical_flip=False)
    longer = replace(recipe, augmentation=as_they_are, validate_every=1000, checkpoint_every=1000)
    if recipe is CAM:
        longer = replace(longer, global_stage=stage)
    else:
        longer = replace(longer, global_stage=StageRecipe(), local_stage=StageRecipe(), joint_stage=stage)
    subject = trainer(data, tmp_path, longer)
    subject._tell = lambda doing, *_: told.append(doing)
    subject.run()
    losses = [float(doing.split()[-1]) for doing in told if "loss" in doing]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_the_package_names_its_architecture_and_has_no_golden_case(package: ModelPackage, recipe: Recipe) -> None:
    assert package.architecture == recipe.baseline
    assert not (package.path / GOLDEN_FILE).exists()


def test_weights_of_another_shape_are_refused(package: ModelPackage) -> None:
    with pytest.raises(PackageMismatch, match="does not hold a"):
        load_models([replace(package, shape=package.shape | {"global_channels": [4, 4, 8]})], "cpu")


def test_an_image_that_the_node_would_refuse_is_refused(model: SaliencyModel, mammogram: Mammogram) -> None:
    with pytest.raises(UnsupportedMammogram, match="spacing"):
        model.look(replace(mammogram, imager_pixel_spacing=(0.5, 0.5)))


def test_the_activation_map_keeps_the_order_of_the_evidence_however_large_it_is() -> None:
    evidence = torch.tensor([-1e4, -3.0, 0.0, 2.0, 900.0, 1e4])
    squashed = squash(evidence, torch.tensor(50.0))
    assert (squashed.diff() > 0).all()
    assert squashed[2] == 0.5
    assert squashed.amin() > 0
    assert squashed.amax() < 1


def test_the_score_of_an_activation_map_is_that_of_averaged_features() -> None:
    network = Cam(SHAPE).eval().global_network
    inputs = torch.randn(2, 1, 64, 48)
    features = network.trunk(inputs)[-1].mean(dim=(2, 3))
    logits = features @ network.head.weight[:, :, 0, 0].T + network.head.bias
    torch.testing.assert_close(network(inputs).scores, logits.sigmoid())


def test_the_map_of_both_has_cells_as_large_as_the_shape_says() -> None:
    for network in (Cam(SHAPE).eval(), Gmic(SHAPE).eval()):
        maps = network.look(torch.randn(1, 1, 184, 120), 1).overview.saliency
        assert maps.shape == (1, 2, 184 * SHAPE.reduction // SHAPE.cell, 120 * SHAPE.reduction // SHAPE.cell)


def test_patches_are_weighed_independently_of_their_order_and_of_other_images() -> None:
    network = GmicLocal(SHAPE).eval()
    patches = torch.randn(4, 1, 32, 32)
    logits = network(patches, 2)
    torch.testing.assert_close(network(patches[[1, 0, 2, 3]], 2), logits)
    torch.testing.assert_close(network(patches[:2], 1), logits[:1])


@pytest.mark.parametrize("name", ["phantom-cam", "phantom-gmic"])
def test_the_shipped_recipes_of_baselines_share_data_input_and_steps_with_glam(name: str) -> None:
    glam, other = read_recipe(find_recipe("phantom")), read_recipe(find_recipe(name))
    assert other.baseline == name.removeprefix("phantom-")
    for same in ("data", "validation", "seed", "precision", "augmentation"):
        assert getattr(other, same) == getattr(glam, same)
    assert other.shape.reduction == glam.shape.reduction
    assert other.shape.cell == glam.shape.local_step
