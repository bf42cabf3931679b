"""A golden file without images, whose only input is black, so that every crop must fail."""

import json
from pathlib import Path

import numpy as np

TINY = {"name": "tiny", "view": "L-CC", "hflip": "NO", "shape": [260, 250], "seed": 1, "items": [], "outcome": "ok"}


def write_golden(path: Path, **changes: object) -> Path:
    """Write the golden file with other values in its description; only the digest of the weights is right."""
    meta = {
        "seed": 128,
        "weights_sha256": "6339af039334d7304cdd952b672a158cf87150e9056f57d0a6e406619fd2702b",
        "tensor_sha256": {},
        "prep_cases": [TINY | {"input_sha256": "0", "outcome": "crop_failed"}],
        "params": {"top_k_per_class": 1},
        "images": {"L-CC": "1234"},
    }
    np.savez(path, meta=np.array(json.dumps(meta | changes)))
    return path
