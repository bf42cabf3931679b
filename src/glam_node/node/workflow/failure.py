"""What is recorded of an error: what a person needs, and nothing of a patient."""

import errno
import traceback
from pathlib import Path

from glam_node.inference.errors import InferenceError, OutOfMemory, PackageMismatch, UnsupportedMammogram
from glam_node.node.errors import NodeError, PermanentError

PERMANENT = (PermanentError, PackageMismatch, UnsupportedMammogram)
MEMORY = "Out of memory: "
TWICE = (
    "{failure} So it was in a new worker process, too. Give the worker more memory, or another device "
    "(inference.device); then: glam-node retry."
)


def is_permanent(error: Exception) -> bool:
    """Whether trying again cannot help."""
    return isinstance(error, PERMANENT)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the same again in this process would end the same way."""
    # torch has no class of its own for what its allocator on CPUs raises.
    return isinstance(error, MemoryError | OutOfMemory) or "DefaultCPUAllocator" in str(error)


def is_disk_full(error: Exception) -> bool:
    """Whether it passes when there is room, however long that takes."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def describe(error: Exception) -> str:
    """The message of an error of ours; of another only its type and place: a library's message may show a name."""
    return MEMORY + _described(error) if is_out_of_memory(error) else _described(error)


def _described(error: Exception) -> str:
    if isinstance(error, NodeError | InferenceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__} at {_place(error)}"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:]))
