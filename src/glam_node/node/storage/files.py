"""Files that are there, whole, after a power cut once a function here has returned."""

import ctypes
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO

PRIVATE_DIRECTORY = 0o700
"""Patients' images: for the user that the node runs as."""

# sync_file_range(2), which Linux alone has, and for which Python has no name.
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
_SYNC_FILE_RANGE_WRITE = 2
_BLOCK = 2**16
_ZEROS = memoryview(bytes(_BLOCK))

# Whoever finds a directory that another thread has just made must not rely on it before it is on the disk.
_making = threading.RLock()


def write_durably(path: Path, data: bytes | Callable[[BinaryIO], object], mode: int = 0o666) -> None:
    """`path` holds `data`, or what it writes into a file, and nothing else; at no time does it hold a part of it.

    It has `mode`, less the umask. Raises OSError (ENOSPC when full).
    """
    make_directory(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb", opener=partial(os.open, mode=mode)) as file:
            file.write(data) if isinstance(data, bytes) else data(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_sparsely(file: BinaryIO, parts: Iterable[bytes]) -> None:
    """`parts` are written one after the other where `file` stands; long runs of zeros need no room on the disk."""
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _BLOCK):
            block = view[start : start + _BLOCK]
            if len(block) == _BLOCK and block == _ZEROS:
                file.seek(_BLOCK, os.SEEK_CUR)
            else:
                file.write(block)
    file.truncate(file.tell())


def remove_unfinished(directory: Path, untouched_s: float) -> int:
    """How many files are gone that `write_durably` was writing below when its process was killed, at least so long ago.

    Raises OSError.
    """
    left = [part for part in directory.rglob(".*.part") if time.time() - part.stat().st_mtime >= untouched_s]
    for part in left:
        part.unlink(missing_ok=True)
    return len(left)


def sync_directory(directory: Path) -> None:
    """The names in `directory` are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def start_writing(descriptor: int, start: int, count: int) -> None:
    """The system begins to write these bytes of a file to the disk; it says nothing of when they are there."""
    if _sync_file_range is not None:
        offset, length = ctypes.c_int64(start), ctypes.c_int64(count)
        _sync_file_range(descriptor, offset, length, ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))


def make_directory(directory: Path, mode: int = 0o777) -> None:
    """`directory` and all above it exist, durably; what was missing has `mode`, less the umask."""
    with _making:
        if directory.is_dir():
            return
        make_directory(directory.parent, mode)
        directory.mkdir(mode, exist_ok=True)
        sync_directory(directory.parent)
