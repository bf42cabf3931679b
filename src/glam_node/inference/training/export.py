"""A trained network made into a model package that the node can run."""

import hashlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.package_golden import write_golden_case
from glam_node.inference.glam.predictor import ARCHITECTURE
from glam_node.inference.glam.shape import PUBLISHED, NetworkShape
from glam_node.inference.package import WEIGHTS_FILE, ModelPackage, OperatingPoint, read_package, write_package
from glam_node.inference.training.baseline_networks import Learner
from glam_node.inference.training.recipe import Recipe

# Nobody has chosen operating points yet: `glam-node evaluate --write-operating-points` does.
UNCHOSEN = OperatingPoint(0.5, 0.5, 0.5, 1000)


def write_trained_package(network: Learner, recipe: Recipe, out: Path) -> ModelPackage:
    """The package in directory `out`, its operating points still to be chosen; a GLAM's has a golden case."""
    out.mkdir(parents=True, exist_ok=True)
    weights = out / WEIGHTS_FILE
    save_file({name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}, weights)
    write_package(
        ModelPackage(
            path=out,
            architecture=recipe.baseline or ARCHITECTURE,
            algorithm_name=recipe.name,
            algorithm_version=recipe.version,
            trained=True,
            weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
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


def shape_table(shape: NetworkShape) -> dict[str, Any]:
    """The [shape] table of a package: what differs from the published network."""
    values = asdict(shape)
    return {
        each.name: list(value) if isinstance(value, tuple) else value
        for each in fields(shape)
        if (value := values[each.name]) != getattr(PUBLISHED, each.name)
    }
