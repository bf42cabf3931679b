"""Export of a trained network as a model package that the node can run."""

from pathlib import Path

from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.package_golden import write_golden_case
from glam_node.inference.glam.predictor import ARCHITECTURE
from glam_node.inference.glam.shape import shape_table
from glam_node.inference.glam.weights import save_weights
from glam_node.inference.package import ModelPackage, OperatingPoint, read_package, write_package
from glam_node.inference.training.baseline_networks import Learner
from glam_node.inference.training.recipe import Recipe

# Placeholder until `glam-node evaluate --write-operating-points` chooses operating points.
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
