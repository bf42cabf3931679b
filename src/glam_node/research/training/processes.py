"""Cooperation of the processes that torchrun starts, one per device; without torchrun there is one process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from glam_node.research.datasets.problems import DatasetError


@dataclass(frozen=True, slots=True)
class Processes:
    """The place of this process among those of the run."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, indices: torch.Tensor) -> torch.Tensor:
        """Return this process's part of a batch; all parts have the same size.

        Raises:
            DatasetError: The batch cannot be divided evenly.
        """
        if len(indices) % self.count:
            raise DatasetError(f"A batch of {len(indices)} cannot be divided among {self.count} processes.")
        return indices.chunk(self.count)[self.rank]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return `module`, wrapped so that its gradients become the mean over all processes."""
        return DistributedDataParallel(module) if self.count > 1 else module

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            distributed.barrier()

    def agree(self, question: Callable[[], bool]) -> bool:
        """Return the leading process's answer to `question`; the other processes do not evaluate it."""
        answer = [question() if self.leads else None]
        if self.count > 1:
            distributed.broadcast_object_list(answer)
        return bool(answer[0])


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Connect the processes that torchrun started together (RANK, WORLD_SIZE); without torchrun, this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def device_of_this_process(device: str) -> str:
    """Return `device`, or the CUDA device that torchrun assigned to this process."""
    rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{rank}" if rank and device in ("auto", "cuda") and torch.cuda.is_available() else device
