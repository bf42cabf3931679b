"""Where a run stands, on disk: written whole or not at all, read without running anything."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `step` steps of stage `stage`; random numbers are functions of these, so none are kept."""

    recipe_digest: str
    stage: str
    step: int
    network: dict[str, Any]
    optimizer: dict[str, Any]
    best: dict[str, Any] = field(default_factory=dict)
    """Of a stage of several rounds: "network" after the best round so far and its "separation"."""


def write_checkpoint(checkpoint: Checkpoint, out: Path) -> None:
    """The checkpoint is durably in directory `out`; a kill leaves the one before."""
    part = out / f"{CHECKPOINT_FILE}.part"
    with part.open("wb") as file:
        torch.save({name: getattr(checkpoint, name) for name in Checkpoint.__slots__}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(out / CHECKPOINT_FILE)


def read_checkpoint(out: Path, device: torch.device) -> Checkpoint | None:
    """The checkpoint in `out`, or None when there is none."""
    path = out / CHECKPOINT_FILE
    if not path.exists():
        return None
    return Checkpoint(**torch.load(path, map_location=device, weights_only=True))
