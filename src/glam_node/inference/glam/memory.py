"""Memory that was freed, and that the C library keeps."""

import ctypes


def give_back_freed() -> None:
    """What was freed is the system's again; where the C library is not glibc, when that likes.

    Loading weights, and what the global network needs for a while, leave holes that larger features do not fit into.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
