"""Untrained weights made from a seed by numpy alone, with the same bytes on every machine."""

import hashlib
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shapes = Mapping[str, tuple[int, ...]]
Arrays = dict[str, NDArray[Any]]

# Spread of the 1 x 1 heads: large enough for maps that vary, small enough that their sigmoid does not saturate.
_HEAD_SPREAD = {
    "global_network.postprocess_module.gn_conv_1.weight": 0.15,
    "global_network.postprocess_module.gn_conv_2.weight": 0.15,
    "global_network.postprocess_module.gn_conv_last.weight": 0.15,
    "global_network.postprocess_module.combine.weight": 1.0,
    "detection_network.gn_conv_last.weight": 0.03,
}


def seeded_arrays(shapes: Shapes, seed: int) -> Arrays:
    """Return one array per name; each depends only on its name, its shape and the seed."""
    return {name: _seeded_array(name, shape, seed) for name, shape in shapes.items()}


def _seeded_array(name: str, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode("ascii"))])
    values = (2.0 * generator.random(shape) - 1.0) * np.sqrt(3.0)
    return _scaled(name, values).astype(np.float32)


def _scaled(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale and shift `values` of unit variance to suit the kind of tensor, which `name` and dimensions show."""
    if values.ndim == 4:
        fan_in = math.prod(values.shape[1:])
        if name in _HEAD_SPREAD:
            return values * (_HEAD_SPREAD[name] / math.sqrt(fan_in))
        return values * ((0.5 if name.endswith(".conv2.weight") else 1.0) * math.sqrt(2.0 / fan_in))
    if name.endswith("running_var"):
        return 1.0 + 0.25 * values
    if name.endswith((".bias", "running_mean")):
        return 0.1 * values
    return 1.0 + 0.1 * values


def arrays_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of the little-endian bytes of all arrays in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(little_endian_bytes(arrays[name]))
    return digest.hexdigest()


def little_endian_bytes(array: NDArray[Any]) -> bytes:
    """Return the little-endian bytes of `array` in C order."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
