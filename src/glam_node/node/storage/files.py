"""Durable files and directories, which survive a power cut once the function that wrote them has returned."""

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
"""Mode of directories with patient data: access for the user of the node only."""

# sync_file_range(2) exists on Linux only, and Python does not wrap it.
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
_SYNC_FILE_RANGE_WRITE = 2
_BLOCK = 2**16
_ZEROS = bytes(_BLOCK)

# If a thread has created a directory, other threads must not use it until the directory's name is on the disk.
_creation_lock = threading.RLock()
# Directories whose names are known to be on the disk, the one used last at the end. The open descriptor of each shows
# if it was removed: then it has no links. They are few, so that a process holds the same number of files at any time:
# the folder of all studies, and those of the studies that arrive at the moment.
_durable: OrderedDict[Path, int] = OrderedDict()
_MAXIMUM_DURABLE = 8


def write_durably(path: Path, data: bytes | Callable[[BinaryIO], object], mode: int = 0o666) -> None:
    """Write a file durably and atomically: readers see the old file or the whole new one.

    Args:
        path: The file; missing directories are created.
        data: The contents, or a function that writes them to a file.
        mode: The mode of the file, minus the umask.

    Raises:
        OSError: The file could not be written; ENOSPC if the disk is full.
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
        if is_new:  # a later caller would take the file for a durable one
            path.unlink(missing_ok=True)
        raise


def write_sparsely(file: BinaryIO, parts: Iterable[bytes]) -> None:
    """Write `parts` at the current position of `file`, with holes for long runs of zeros."""
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _BLOCK):
            # This compares much faster than memoryviews do.
            if part.startswith(_ZEROS, start):
                file.seek(_BLOCK, os.SEEK_CUR)
            else:
                file.write(view[start : start + _BLOCK])
    file.truncate(file.tell())


def remove_unfinished(directory: Path, untouched_s: float) -> int:
    """Remove partial files that killed processes left below a directory.

    Args:
        directory: The directory.
        untouched_s: Minimum age in seconds: a younger file may still be written.

    Returns:
        The number of files removed.

    Raises:
        OSError: A file cannot be removed.
    """
    left = [part for part in directory.rglob(".*.part") if time.time() - part.stat().st_mtime >= untouched_s]
    for part in left:
        part.unlink(missing_ok=True)
    return len(left)


def sync_directory(directory: Path) -> None:
    """Flush the entries of a directory to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def start_writing(descriptor: int, start: int, count: int) -> None:
    """Make the system start to write a range of a file to the disk, without waiting until it is written."""
    if _sync_file_range is not None:
        offset, length = ctypes.c_int64(start), ctypes.c_int64(count)
        _sync_file_range(descriptor, offset, length, ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))


def keep_durable(path: Path) -> None:
    """Make the name of a file durable, because another process may have created the file. Raises OSError."""
    make_directory(path.parent)
    sync_directory(path.parent)


def make_directory(directory: Path, mode: int = 0o777) -> None:
    """Create a directory and its parents durably.

    An existing directory may have been created by a process that could not synchronise it. So each call for the
    directory in this process synchronises its parent, until one call has succeeded.

    Args:
        directory: The directory.
        mode: The mode of created directories, minus the umask.

    Raises:
        OSError: A directory could not be created or synchronised.
    """
    directory = directory.absolute()
    with _creation_lock:
        if _is_durable(directory):
            return
        is_new = not directory.is_dir()
        if is_new or not _is_foreign(directory):
            make_directory(directory.parent, mode)
            directory.mkdir(mode, exist_ok=True)
            _sync_name(directory, is_new=is_new)
        _remember(directory)


def _sync_name(directory: Path, *, is_new: bool) -> None:
    try:
        sync_directory(directory.parent)
    except OSError as error:
        if is_new:  # after a failure, a second fsync may succeed without writing the name
            with suppress(OSError):
                directory.rmdir()
        elif isinstance(error, PermissionError):  # an administrator created it in a parent that this user cannot read
            return
        raise


def _is_foreign(directory: Path) -> bool:
    """Return whether the directory was not created by this node: it is a mount point or has another owner."""
    found, above = directory.stat(), directory.parent.stat()
    return found.st_uid != os.geteuid() or found.st_dev != above.st_dev or os.path.samestat(found, above)


def _is_durable(directory: Path) -> bool:
    descriptor = _durable.get(directory)
    try:
        if descriptor is not None and os.fstat(descriptor).st_nlink:
            _durable.move_to_end(directory)
            return True
    except OSError:  # the handle is stale on a network file system
        pass
    _forget(directory)
    return False


def _remember(directory: Path) -> None:
    _forget(directory)
    with suppress(OSError):
        _durable[directory] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while len(_durable) > _MAXIMUM_DURABLE:
        os.close(_durable.popitem(last=False)[1])


def _forget(directory: Path) -> None:
    descriptor = _durable.pop(directory, None)
    if descriptor is not None:
        os.close(descriptor)
