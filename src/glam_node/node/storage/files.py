"""Files that are there, whole, after a power cut once a function here has returned."""

import ctypes
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
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

# A thread that finds a directory which another thread has just created must not rely on it before it is on the disk.
_making = threading.RLock()
# Directories whose names are known to be on the disk, each held open: one that is removed has no links any more.
_durable: OrderedDict[Path, int] = OrderedDict()
_MOST_DURABLE = 64


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
        is_new = not path.exists()
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    try:
        sync_directory(path.parent)
    except OSError:
        if is_new:  # a file that is there would be taken for one that is durable
            path.unlink(missing_ok=True)
        raise


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


def keep_durable(path: Path) -> None:
    """Make the name of a file durable that another process may have put there. Raises OSError."""
    make_directory(path.parent)
    sync_directory(path.parent)


def make_directory(directory: Path, mode: int = 0o777) -> None:
    """Create `directory` and all above it, durably; what was missing gets `mode`, less the umask. Raises OSError.

    A directory that is there already may have been created by a process that could not synchronise it. So the first
    call for it in this process synchronises its parent, and so does every call until that has succeeded.
    """
    directory = directory.absolute()
    with _making:
        if _is_durable(directory):
            return
        is_new = not directory.is_dir()
        if is_new or not _is_given(directory):
            make_directory(directory.parent, mode)
            directory.mkdir(mode, exist_ok=True)
            _sync_name(directory, is_new=is_new)
        _remember(directory)


def _sync_name(directory: Path, *, is_new: bool) -> None:
    try:
        sync_directory(directory.parent)
    except OSError as error:
        if is_new:  # a second synchronisation of the same name may find nothing to do
            with suppress(OSError):
                directory.rmdir()
        elif isinstance(error, PermissionError):  # the administrator created it where this user may not look
            return
        raise


def _is_given(directory: Path) -> bool:
    """Return whether the directory was not created by this node: a mount point, or that of another user."""
    found, above = directory.stat(), directory.parent.stat()
    return found.st_uid != os.geteuid() or found.st_dev != above.st_dev or os.path.samestat(found, above)


def _is_durable(directory: Path) -> bool:
    descriptor = _durable.get(directory)
    try:
        if descriptor is not None and os.fstat(descriptor).st_nlink:
            return True
    except OSError:  # a network file system has forgotten it
        pass
    _forget(directory)
    return False


def _remember(directory: Path) -> None:
    _forget(directory)
    with suppress(OSError):
        _durable[directory] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while len(_durable) > _MOST_DURABLE:
        os.close(_durable.popitem(last=False)[1])


def _forget(directory: Path) -> None:
    descriptor = _durable.pop(directory, None)
    if descriptor is not None:
        os.close(descriptor)
