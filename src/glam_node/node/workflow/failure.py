"""What is recorded of an error: what a person needs, and nothing of a patient."""

import traceback
from pathlib import Path

from glam_node.inference.errors import InferenceError, PackageMismatch, UnsupportedMammogram
from glam_node.node.errors import NodeError, PermanentError

PERMANENT = (PermanentError, PackageMismatch, UnsupportedMammogram)


def is_permanent(error: Exception) -> bool:
    """Whether trying again cannot help."""
    return isinstance(error, PERMANENT)


def describe(error: Exception) -> str:
    """The message of an error of ours; of another only its type and place: a library's message may show a name."""
    if isinstance(error, NodeError | InferenceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__} at {_place(error)}"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:]))
