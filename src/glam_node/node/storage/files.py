"""Files that are there, whole, after a power cut once a function here has returned."""

import os
import secrets
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """`path` holds `data` and nothing else; at no time does it hold a part of it. Raises OSError (ENOSPC when full)."""
    make_directory(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """The names in `directory` are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """`directory` and all above it exist, durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    try:
        directory.mkdir()
    except FileExistsError:
        return
    sync_directory(directory.parent)
