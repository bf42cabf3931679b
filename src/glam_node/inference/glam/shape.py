"""The shape of a GLAM network: the published one by default, or the one that a package states."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any

from glam_node.inference.glam.window import WINDOW_SHAPE

_LOCAL_STAGES = 4


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes of a GLAM network and constants of its aggregation; the defaults are those published."""

    reduction: int = 1
    """Side, in window pixels, of the squares that are averaged to one pixel of the network's input."""
    global_stem_channels: int = 16
    global_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels per stage; the last three stages feed the heads."""
    global_strides: tuple[int, ...] = (1, 2, 2, 2, 2)
    global_blocks: int = 2
    global_stem_pool: bool = True
    """Whether the stem has a max-pool; the stem reduces by 4 with the max-pool and by 2 without."""
    local_channels: tuple[int, ...] = (64, 128, 256, 512)
    local_blocks: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks per stage; a stage without blocks changes nothing, which keeps the receptive field small."""
    local_stem_pool: bool = True
    head_bias: bool = False
    """Whether the 1 x 1 heads have biases; the published ones have none."""
    patch_size: int = 512
    """Side of a patch in window pixels; a multiple of `cell`."""
    local_closing: int = 0
    """Window pixels, a multiple of `local_step`: gaps of at most twice this width in local saliency are filled.
    With 0, as published, no gap is filled."""
    top_fraction: float = 0.03
    """Fraction of each global map's values whose mean is the image's score."""
    map_weights: tuple[float, float, float] = (0.2, 0.6, 0.2)
    """Weights of the maps, from fine to coarse, in the saliency that places the patches."""

    def __post_init__(self) -> None:
        """Check the fields against each other; raise ValueError that names the fields that do not fit together."""
        if len(self.global_channels) != len(self.global_strides) or len(self.global_channels) < len(self.map_weights):
            raise ValueError(
                "shape.global_channels and shape.global_strides must have equally many numbers, three or more."
            )
        if len(self.local_channels) != len(self.local_blocks) or len(self.local_channels) != _LOCAL_STAGES:
            raise ValueError("shape.local_channels and shape.local_blocks must have four numbers each.")
        widths = (self.local_channels[0], *self.local_channels)
        if any(widths[stage] != widths[stage + 1] for stage, blocks in enumerate(self.local_blocks) if not blocks):
            raise ValueError("shape.local_blocks: a stage without blocks cannot change the number of channels.")
        if self.local_closing < 0 or self.local_closing % self.local_step:
            raise ValueError(
                f"shape.local_closing must be 0 or a multiple of the local step, {self.local_step} pixels."
            )
        if any(side % self.cell for side in (*WINDOW_SHAPE, self.patch_size)) or self.cell % self.local_step:
            raise ValueError(
                f"shape gives cells of {self.cell} pixels and local steps of {self.local_step}: the window's sides and "
                f"patch_size must be multiples of the cell, and the cell a multiple of the local step."
            )

    @property
    def global_stride(self) -> int:
        """Network pixels per cell of the finest global map."""
        return (4 if self.global_stem_pool else 2) * prod(self.global_strides[:-2])

    @property
    def cell(self) -> int:
        """Window pixels per cell of the finest global map: 16 as published."""
        return self.reduction * self.global_stride

    @property
    def patch_cells(self) -> int:
        """Side of a patch in cells: 32 as published."""
        return self.patch_size // self.cell

    @property
    def local_step(self) -> int:
        """Window pixels per value of the local saliency: 4 as published."""
        return self.reduction * (4 if self.local_stem_pool else 2)


PUBLISHED = NetworkShape()


def shape_from_table(table: Mapping[str, Any]) -> NetworkShape:
    """Return the shape that a package's [shape] table describes; keys left out have the published values.

    Raises:
        ValueError: A key, which the message names, is unknown, of the wrong type, or does not fit the others.
    """
    values: dict[str, Any] = {}
    for name, value in table.items():
        published = getattr(PUBLISHED, name) if name in _NAMES else None
        given = tuple(value) if isinstance(value, list) else value
        if published is None or type(given) is not type(published) or not _same_kinds(given, published):
            raise ValueError(f"shape.{name} = {value!r} is not understood; known are {', '.join(sorted(_NAMES))}.")
        values[name] = given
    return NetworkShape(**values)


_NAMES = {field.name for field in fields(NetworkShape)}


def _same_kinds(given: Any, published: Any) -> bool:
    if not isinstance(published, tuple):
        return True
    return {type(one) for one in given} == {type(one) for one in published}


def shape_table(shape: NetworkShape) -> dict[str, Any]:
    """Return the [shape] table of a package: the fields that differ from the published network."""
    values = asdict(shape)
    return {
        each.name: list(value) if isinstance(value, tuple) else value
        for each in fields(shape)
        if (value := values[each.name]) != getattr(PUBLISHED, each.name)
    }
