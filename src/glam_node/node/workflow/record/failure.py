"""Classes of errors, and descriptions of them that contain nothing about a patient."""

import errno
import traceback
from pathlib import Path

from glam_node.inference.errors import InferenceError, OutOfMemory, PackageMismatch, UnsupportedMammogram
from glam_node.node.errors import NodeError, PermanentError, TransientError

PERMANENT = (PermanentError, PackageMismatch, UnsupportedMammogram)
_UNREACHABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT})
OUT_OF_MEMORY = "Out of memory: "
FAILED_TWICE = (
    "{failure} It failed the same way in a fresh worker process. Give the worker more memory, or another device "
    "(inference.device); then: glam-node study retry."
)


def is_permanent(error: Exception) -> bool:
    """Return whether another attempt cannot help."""
    return isinstance(error, PERMANENT)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory was too short, so that another attempt in this process would fail, too."""
    # torch has no class of its own for an error of its allocator on CPUs.
    return isinstance(error, MemoryError | OutOfMemory) or "DefaultCPUAllocator" in str(error)


def is_disk_full(error: Exception) -> bool:
    """Return whether a disk or quota is full; this failure passes when space is freed."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


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


def is_storage_unreachable(error: Exception) -> bool:
    """Return whether a file could not be reached, for example because a share or disk is not mounted."""
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


def describe(error: Exception) -> str:
    """Return the message of an error of glam-node, else the type and place: a library's message may contain a name."""
    return _known_message(error) or f"{type(error).__name__} at {place_of(error)}"


def describe_for_job(error: Exception) -> str:
    """Return the description of an error for a job: without a place in the code, because archives get it, too."""
    return _known_message(error) or f"An unexpected error occurred ({type(error).__name__}). See the log of the worker."


def _known_message(error: Exception) -> str:
    """Return the message of an error of glam-node or of the operating system; empty for an error of a library."""
    known = ""
    if isinstance(error, NodeError | InferenceError):
        known = str(error)
    elif isinstance(error, OSError) and error.strerror:
        known = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    elif is_out_of_memory(error):
        known = type(error).__name__
    return OUT_OF_MEMORY + known if is_out_of_memory(error) else known


def place_of(error: Exception) -> str:
    """Return the innermost three places in the code that an error passed, for the log."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:]))
