"""A training run from data set to package, for `glam-node train`."""

from dataclasses import dataclass
from pathlib import Path

from glam_node.inference.glam.device import resolve_device
from glam_node.inference.training.export import write_trained_package
from glam_node.inference.training.processes import device_of_this_process, joined
from glam_node.inference.training.recipe import read_recipe
from glam_node.inference.training.samples import Tell
from glam_node.inference.training.trainer import Trainer, prepare_data

RECIPES = Path(__file__).parent / "recipes"
PACKAGE_FOLDER, PREPARED_FOLDER = "package", "prepared"


@dataclass(frozen=True, slots=True)
class Trained:
    """Result of a training run."""

    package: Path
    training_views: int
    validation_views: int
    failures: tuple[str, ...]
    """Views that could not be prepared, with the reasons."""


def run_training(recipe_path: Path, out: Path, *, device: str, workers: int, tell: Tell) -> Trained:
    """Train by the recipe and write the package to `out`/package; continue an earlier run into `out` that was stopped.

    Raises:
        RecipeError: The recipe has mistakes.
        DatasetError: A data set cannot be used, or `out` holds a run of another recipe.
        DeviceUnavailable: The machine lacks the device.
        OSError: A file cannot be read or written.
    """
    recipe = read_recipe(recipe_path)
    resolved = resolve_device(device_of_this_process(device))
    with joined(resolved) as processes:
        data = prepare_data(recipe, out / PREPARED_FOLDER, processes, workers, tell)
        network = Trainer(recipe, data, out, resolved, processes, tell).run()
        if processes.leads:
            write_trained_package(network, recipe, out / PACKAGE_FOLDER)
    failures = (*data.training.failures, *data.validation.failures)
    return Trained(out / PACKAGE_FOLDER, len(data.training), len(data.validation), failures)
