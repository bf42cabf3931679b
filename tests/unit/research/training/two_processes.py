"""A program for torchrun: each process trains the toy network and writes its final weights."""

import sys
from pathlib import Path

import torch

from glam_node.research.training.processes import joined
from glam_node.research.training.trainer import Trainer, prepare_data
from tests.unit.research.training.toy import RECIPE, silent


def main(out: Path) -> None:
    """Write the weights to out/rank<N>.pt."""
    device = torch.device("cpu")
    with joined(device) as processes:
        data = prepare_data(RECIPE, out / "prepared", processes, 0, silent)
        network = Trainer(RECIPE, data, out, device, processes, silent).run()
        torch.save(network.state_dict(), out / f"rank{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
