"""A program that trains the toy network into a directory and prints every loss, or waits after some of them."""

import sys
from itertools import count
from pathlib import Path

import torch

from glam_node.research.training.processes import Processes
from glam_node.research.training.trainer import Trainer
from tests.unit.research.training.toy import RECIPE, toy_data


def main(prepared: Path, out: Path, losses: int) -> None:
    """Train until the run is done, or print so many losses and wait for the end of the standard input."""
    lines = count(1)

    def tell(doing: str, done: int, _total: int) -> None:
        if "loss" in doing:
            print(f"{done} {doing}", flush=True)
            if next(lines) == losses:
                sys.stdin.read()

    out.mkdir(exist_ok=True)
    Trainer(RECIPE, toy_data(prepared), out, torch.device("cpu"), Processes(), tell).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
