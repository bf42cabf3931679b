"""A recipe that trains in a second: two toy exams, and a network of several hundred parameters."""

from dataclasses import replace
from pathlib import Path

import torch

from glam_node.inference.glam.shape import NetworkShape
from glam_node.research.training.processes import Processes
from glam_node.research.training.recipe import DataRecipe, Recipe, StageRecipe
from glam_node.research.training.trainer import Trainer, TrainingData, prepare_data

SMALL = {"rows": 832, "columns": 640, "mix": "1,1,1,1"}
SHAPE = NetworkShape(
    reduction=16,
    global_stem_channels=4,
    global_channels=(4, 4, 4),
    global_strides=(1, 2, 1),
    global_blocks=1,
    global_stem_pool=False,
    local_channels=(4, 4, 4, 4),
    local_blocks=(1, 1, 1, 1),
    local_stem_pool=False,
    head_bias=True,
)
RECIPE = Recipe(
    name="toy",
    data=DataRecipe("phantoms", "0:2", SMALL),
    validation=DataRecipe("phantoms", "10:11", SMALL),
    validate_every=3,
    checkpoint_every=1,
    global_stage=StageRecipe(steps=3, batch_size=2),
    local_stage=StageRecipe(steps=2, batch_size=2),
    joint_stage=StageRecipe(steps=2, batch_size=2),
    shape=SHAPE,
)


def silent(doing: str, done: int, total: int) -> None:
    """Show no progress."""


def toy_data(folder: Path) -> TrainingData:
    """Return the toy exams, prepared."""
    return prepare_data(RECIPE, folder, Processes(), 0, silent)


def trainer(data: TrainingData, out: Path, recipe: Recipe = RECIPE) -> Trainer:
    """Return a trainer of the toy network on the CPU."""
    out.mkdir(exist_ok=True)
    return Trainer(recipe, data, out, torch.device("cpu"), Processes(), silent)


def longer(steps: int) -> Recipe:
    """Return the toy recipe with one global stage."""
    stage = StageRecipe(steps=steps, batch_size=4, learning_rate=1e-2, top_fraction=0.01, sparsity=0.0)
    nothing = StageRecipe()
    return replace(RECIPE, global_stage=stage, local_stage=nothing, joint_stage=nothing, validate_every=1000)
