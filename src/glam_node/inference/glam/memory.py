"""Return of freed memory from the C library to the system."""

import ctypes


def give_back_freed() -> None:
    """Return freed memory to the system at once; does nothing unless the C library is glibc.

    Loading weights and running the global network leave holes that larger features do not fit into.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
