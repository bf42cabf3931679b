"""What is recorded of an error: what a person needs, and nothing of a patient."""

import errno
import traceback
from pathlib import Path

from glam_node.inference.errors import InferenceError, OutOfMemory, PackageMismatch, UnsupportedMammogram
from glam_node.node.errors import NodeError, PermanentError, TransientError

PERMANENT = (PermanentError, PackageMismatch, UnsupportedMammogram)
_AWAY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT})
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


def stops_everything(error: Exception) -> bool:
    """Return whether an error is of the machine, not of one image: disk, memory, database; trying again may help."""
    # Decoders raise OSError without a number for a damaged image.
    of_disk = isinstance(error, OSError) and error.errno is not None
    return of_disk or is_out_of_memory(error) or isinstance(error, TransientError)


def in_words(error: Exception) -> str:
    """Return a reason that may be sent to an archive: no place in the code, and no message of a library."""
    if isinstance(error, NodeError | InferenceError):
        return str(error)
    return f"glam-node does not understand what the image says ({type(error).__name__})."


def is_storage_away(error: Exception) -> bool:
    """Return whether a file could not be reached, as when a share or disk is away for a while."""
    return isinstance(error, OSError) and error.errno in _AWAY


def describe(error: Exception) -> str:
    """The message of an error of ours; of another only its type and place: a library's message may show a name."""
    return _described(error) or f"{type(error).__name__} at {place_of(error)}"


def describe_of_job(error: Exception) -> str:
    """Return the same without a place in the code: the failure of a job is sent to archives, too."""
    return _described(error) or f"An error that glam-node does not expect ({type(error).__name__}). See its log."


def _described(error: Exception) -> str:
    """Empty for an error of a library."""
    known = ""
    if isinstance(error, NodeError | InferenceError):
        known = str(error)
    elif isinstance(error, OSError) and error.strerror:
        known = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    elif is_out_of_memory(error):
        known = type(error).__name__
    return MEMORY + known if is_out_of_memory(error) else known


def place_of(error: Exception) -> str:
    """Return where an error was raised, for a log."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:]))
