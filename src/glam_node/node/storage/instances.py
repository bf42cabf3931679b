"""Received instances on disk: streamed into `incoming`, then moved to their place atomically."""

import fcntl
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import blake3

from glam_node.node.storage.files import (
    PRIVATE_DIRECTORY,
    make_directory,
    start_writing,
    sync_directory,
)
from glam_node.node.storage.root import StorageRoot

# Only such UIDs become file names. PS3.5 9.1 allows no leading zeros in components, but some devices write them.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_PRIVATE_MODE = 0o600
_LOCK_FILES = 64
SYNCHRONISERS = 16
"""Maximum number of threads that synchronise directories; each is started when it is needed and then kept."""
_FLUSH_BYTES = 4 * 2**20
"""Bytes after which the system is asked to start writing, so that little is left for the fsync at the end."""

DISK_LOW = (
    "Less than {bytes} bytes are free on the disk of storage.root: no study is completed and no job started until more "
    "is free. Free disk space, or lower storage.pause_free_bytes."
)


def is_valid_uid(uid: str) -> bool:
    """Return whether `uid` is valid according to PS3.5 section 9.1, except that leading zeros are allowed."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


class InstanceStore(StorageRoot):
    """The instances in a storage root; several receiver processes may use one root at the same time."""

    def __init__(self, root: Path, marker: str | None = None) -> None:
        """Open the storage root. Raises TransientError as `require`, and OSError."""
        super().__init__(root, marker)
        self.require()
        self._incoming, self._lock_files = self.root / "incoming", self.root / "locks"
        # The pool starts no thread before it is needed.
        self._synchronisers = ThreadPoolExecutor(SYNCHRONISERS, "synchronise")
        make_directory(self._incoming, PRIVATE_DIRECTORY)
        make_directory(self._lock_files, PRIVATE_DIRECTORY)

    def resolve(self, relative: str) -> Path:
        """Return the full path of a file whose path in the database is relative to the root."""
        return self.root / relative

    @contextmanager
    def exclusively(self, sop_instance_uid: str) -> Iterator[None]:
        """Lock a SOP Instance UID against all other threads and receivers of this root."""
        place = zlib.crc32(sop_instance_uid.encode()) % _LOCK_FILES
        lock = os.open(self._lock_files / f"{place:02d}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def conflicts(self) -> list[tuple[Path, datetime]]:
        """Return path and time of each kept newer version of an instance, the oldest first."""
        kept = [(path, path.stat().st_mtime) for path in (self.root / "conflicts").glob("*.dcm")]
        return [(path, datetime.fromtimestamp(at, UTC)) for path, at in sorted(kept, key=lambda one: one[1])]

    def link(self, kept: str, relative: str) -> None:
        """Link the file at `kept` durably at `relative`, unless there is a file already.

        Raises:
            TransientError: As `require`.
            OSError: The disk failed.
        """
        self.require()
        final = self.root / relative
        make_directory(final.parent, PRIVATE_DIRECTORY)
        with suppress(FileExistsError):
            final.hardlink_to(self.root / kept)
        sync_directory(final.parent)

    def unlink(self, relative: str) -> None:
        """Remove the file at `relative`, and its directory if it is empty. Raises TransientError as `require`."""
        self.require()
        path = self.root / relative
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def sweep(self) -> int:
        """Remove partial instances of receivers that have exited; return their number. Raises OSError."""
        return sum(_remove_if_abandoned(part) for part in self._incoming.glob("*.part"))

    def incoming(self, head: bytes) -> "IncomingFile":
        """Create a file in `incoming` that begins with `head`.

        Raises:
            TransientError: As `require`.
            OSError: The disk failed.
        """
        self.require()
        return IncomingFile(self._incoming / f"{secrets.token_hex(16)}.part", head)

    def admit(self, incoming: "IncomingFile", relative: str) -> None:
        """Move an incoming file durably to `relative`, in place of any other file.

        Raises:
            TransientError: As `require`.
            OSError: The disk failed.
        """
        self.require()
        final = self.root / relative
        make_directory(final.parent, PRIVATE_DIRECTORY)
        incoming.move(final)
        # Two fsyncs at once cost one flush of the disk, two in a row cost two. A file that a power cut leaves here
        # before both have returned has no row, so the next instance may replace it.
        directory = self._synchronisers.submit(sync_directory, final.parent)
        try:
            incoming.sync()
        finally:
            directory.result()
        incoming.keep()


class IncomingFile:
    """An instance while it arrives, hashed and counted as it is written."""

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        """The current path of the file."""
        self.head_length = len(head)
        self.byte_count = 0
        self._blake3 = blake3.blake3()
        self._flushed_bytes = 0
        self._admitted = False
        self._descriptor = _create_locked(path)
        try:
            _write_all(self._descriptor, [memoryview(head)])
        except OSError:
            self.discard()
            raise

    @property
    def blake3(self) -> str:
        """The BLAKE3 of the bytes after the head, as hex digits."""
        return self._blake3.hexdigest()

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes after the head, read back from the file, as hex digits. Raises OSError."""
        with self.path.open("rb") as file:
            file.seek(self.head_length)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write(self, fragments: Sequence[memoryview]) -> None:
        """Append at most 1,024 fragments. Raises OSError."""
        for fragment in fragments:
            self._blake3.update(fragment)
        self.byte_count += _write_all(self._descriptor, fragments)
        if self.byte_count - self._flushed_bytes >= _FLUSH_BYTES:
            start_writing(self._descriptor, self._flushed_bytes, self.byte_count - self._flushed_bytes)
            self._flushed_bytes = self.byte_count

    def move(self, final: Path) -> None:
        """Move the file to `final`; `discard` still removes it. Raises OSError."""
        self.path.replace(final)
        self.path = final

    def sync(self) -> None:
        """Flush the file to the disk. Raises OSError."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)

    def keep(self) -> None:
        """Close the file for good, so that `discard` no longer removes it."""
        self._admitted = True
        self._close()

    def discard(self) -> None:
        """Close the file and remove it, unless it was kept. Raises OSError."""
        self._close()
        if not self._admitted:
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _create_locked(path: Path) -> int:
    """Create a file, locked against `sweep` until it is closed or its process exits; return the descriptor."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # otherwise `sweep` removed it before it was locked
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove_if_abandoned(part: Path) -> bool:
    """Remove a partial file unless its receiver still has it locked; return whether it was removed."""
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _write_all(descriptor: int, fragments: Sequence[memoryview]) -> int:
    """Write all fragments, at most 1,024 (the limit of writev on Linux); return their number of bytes."""
    length, written = sum(map(len, fragments)), os.writev(descriptor, fragments)
    if written < length:  # the disk is full, or a signal interrupted the call
        rest = memoryview(b"".join(fragments))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return length
