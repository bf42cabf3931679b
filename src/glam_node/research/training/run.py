"""A training run from data set to exported package, for `glam-node research train`."""

from dataclasses import dataclass, replace
from pathlib import Path

from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.device import resolve_device
from glam_node.inference.glam.package_golden import write_golden_case
from glam_node.inference.glam.predictor import ARCHITECTURE
from glam_node.inference.glam.shape import shape_table
from glam_node.inference.glam.weights import save_weights
from glam_node.inference.package import ModelPackage, OperatingPoint, read_package, write_package
from glam_node.research.models.networks import Learner
from glam_node.research.training.processes import device_of_this_process, joined
from glam_node.research.training.recipe import Recipe, read_recipe
from glam_node.research.training.samples import Tell
from glam_node.research.training.trainer import Trainer, prepare_data

# Placeholder until `glam-node research evaluate --write-operating-points` chooses operating points.
UNCHOSEN = OperatingPoint(0.5, 0.5, 0.5, 1000)


def write_trained_package(network: Learner, recipe: Recipe, out: Path) -> ModelPackage:
    """Write the package to directory `out`, with placeholder operating points and, for a GLAM, a golden case."""
    write_package(
        ModelPackage(
            path=out,
            architecture=recipe.baseline or ARCHITECTURE,
            algorithm_name=recipe.name,
            algorithm_version=recipe.version,
            trained=True,
            weights_sha256=save_weights(network.state_dict(), out),
            seed=None,
            operating_points=dict.fromkeys(FindingKind, UNCHOSEN),
            parameters={"patches_per_image": recipe.patches_per_image, "maximum_findings_per_class": 5},
            shape=shape_table(recipe.shape),
            card=recipe.card,
        )
    )
    package = read_package(out)
    if not recipe.baseline:
        write_golden_case(package)
    return package


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


def run_training(
    recipe_path: Path, out: Path, *, data: Path | None = None, device: str, workers: int, tell: Tell
) -> Trained:
    """Train by the recipe and write the package to `out`/package; continue an earlier run into `out` that was stopped.

    `data` replaces the recipe's paths of the images for training and validation.

    Raises:
        RecipeError: The recipe has mistakes.
        DatasetError: A data set cannot be used, or `out` holds a run of another recipe.
        DeviceUnavailable: The machine lacks the device.
        OSError: A file cannot be read or written.
    """
    recipe = read_recipe(recipe_path)
    if data is not None:
        sets = {name: replace(getattr(recipe, name), path=str(data)) for name in ("data", "validation")}
        recipe = replace(recipe, **sets)
    resolved = resolve_device(device_of_this_process(device))
    with joined(resolved) as processes:
        views = prepare_data(recipe, out / PREPARED_FOLDER, processes, workers, tell)
        network = Trainer(recipe, views, out, resolved, processes, tell).run()
        if processes.leads:
            write_trained_package(network, recipe, out / PACKAGE_FOLDER)
    failures = (*views.training.failures, *views.validation.failures)
    return Trained(out / PACKAGE_FOLDER, len(views.training), len(views.validation), failures)
