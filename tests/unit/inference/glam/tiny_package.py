"""A package with a tiny network, whose golden case is computed in no time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from glam_node.inference.glam.shape import shape_from_table
from glam_node.inference.glam.weights import seeded_state_dict
from glam_node.inference.package import ModelPackage, read_package, write_package
from tests.packages import SEEDED_PACKAGE

SHAPE: dict[str, Any] = {
    "reduction": 8,
    "global_stem_channels": 4,
    "global_channels": [4, 4, 8],
    "global_strides": [1, 2, 2],
    "global_blocks": 1,
    "global_stem_pool": False,
    "local_channels": [4, 4, 8, 8],
    "local_blocks": [1, 1, 1, 1],
    "local_stem_pool": False,
    "head_bias": True,
}


def tiny_package(path: Path, seed: int = 5, **changes: Any) -> ModelPackage:
    """Write a package with seeded weights of SHAPE to `path` and return it."""
    path.mkdir(parents=True, exist_ok=True)
    digest = seeded_state_dict(seed, shape_from_table(SHAPE))[1]
    package = replace(read_package(SEEDED_PACKAGE), path=path, seed=seed, weights_sha256=digest, shape=SHAPE, **changes)
    write_package(package)
    return read_package(path)
