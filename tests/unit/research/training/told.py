"""A program that trains the toy network into a directory and prints every loss."""

import sys
from pathlib import Path

import torch

from glam_node.research.training.processes import Processes
from glam_node.research.training.trainer import Trainer
from tests.unit.research.training.toy import RECIPE, toy_data


def tell(doing: str, done: int, _total: int) -> None:
    """Print stage, step and loss on a line."""
    if "loss" in doing:
        print(f"{done} {doing}", flush=True)


def main(prepared: Path, out: Path) -> None:
    """Train until the run is done or the process is killed."""
    out.mkdir(exist_ok=True)
    Trainer(RECIPE, toy_data(prepared), out, torch.device("cpu"), Processes(), tell).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
