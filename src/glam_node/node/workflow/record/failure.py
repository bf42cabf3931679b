"""Classes of errors, and descriptions of them that contain nothing about a patient."""

import errno
import traceback
from pathlib import Path

from glam_node.inference.errors import InferenceError, OutOfMemory, PackageMismatch, UnsupportedMammogram
from glam_node.node.domain.job import FailureKind
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.observe.logs import message_without_values

PERMANENT = (PermanentError, PackageMismatch, UnsupportedMammogram)
_UNREACHABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FAILED_TWICE = (
    "{failure} It failed the same way in a fresh worker process. Give the worker more memory, or another device "
    "(inference.device); then: glam-node study retry."
)


def kind_of(error: Exception) -> FailureKind:
    """Return the kind of failure that an error is for a job."""
    if isinstance(error, PERMANENT):
        return FailureKind.PERMANENT
    if is_out_of_memory(error):
        return FailureKind.OUT_OF_MEMORY
    number = error.errno if isinstance(error, OSError) else None
    if number in _UNREACHABLE:
        return FailureKind.STORAGE_UNREACHABLE
    return FailureKind.DISK_FULL if number in _FULL else FailureKind.OTHER


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory was too short, so that another attempt in this process would fail, too."""
    # torch has no class of its own for an error of its allocator on CPUs.
    of_torch = type(error) is RuntimeError and "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError | OutOfMemory) or of_torch


def is_machine_failure(error: Exception) -> bool:
    """Return whether the cause is the machine (disk, memory, database) and not one image; another attempt may help."""
    # For a damaged image, decoders raise OSError without a number.
    of_disk = isinstance(error, OSError) and error.errno is not None
    return of_disk or is_out_of_memory(error) or isinstance(error, TransientError)


def reason_for_archive(error: Exception) -> str:
    """Return a reason that may be sent to an archive: without a place in the code or a message of a library."""
    if isinstance(error, NodeError | InferenceError):
        return str(error)
    return f"glam-node cannot interpret the image ({type(error).__name__})."


def describe(error: Exception) -> str:
    """Return the message of an error of glam-node, else the type and place: a library's message may contain a name."""
    return _message(error) or f"{type(error).__name__} at {place_of(error)}"


def describe_for_job(error: Exception) -> str:
    """Return the description of an error for a job: without a place in the code, because archives get it, too."""
    return _message(error) or f"An unexpected error occurred ({type(error).__name__}). See the log of the worker."


def _message(error: Exception) -> str:
    known = message_without_values(error)
    return f"Out of memory: {known or type(error).__name__}" if is_out_of_memory(error) else known


def place_of(error: Exception) -> str:
    """Return the innermost three places in the code that an error passed, for the log."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:]))
