"""State of a training run on disk, written completely or not at all, and read without running code."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `step` steps of stage `stage`; random numbers depend only on these two, so none are stored."""

    recipe_digest: str
    stage: str
    step: int
    network: dict[str, Any]
    optimizer: dict[str, Any]
    best: dict[str, Any] = field(default_factory=dict)
    """For a stage of several rounds: the "network" after the best round so far and its "separation"."""


def write_checkpoint(checkpoint: Checkpoint, out: Path) -> None:
    """Write the checkpoint durably to directory `out`; if killed meanwhile, the previous one remains."""
    part = out / f"{CHECKPOINT_FILE}.part"
    with part.open("wb") as file:
        torch.save({name: getattr(checkpoint, name) for name in Checkpoint.__slots__}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(out / CHECKPOINT_FILE)


def read_checkpoint(out: Path, device: torch.device) -> Checkpoint | None:
    """Read the checkpoint in `out`; return None if there is none."""
    path = out / CHECKPOINT_FILE
    if not path.exists():
        return None
    return Checkpoint(**torch.load(path, map_location=device, weights_only=True))
