"""Received instances on disk: streamed into `incoming`, then moved to their place in one step."""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import blake3

from glam_node.node.errors import TransientError
from glam_node.node.storage.files import (
    PRIVATE_DIRECTORY,
    make_directory,
    start_writing,
    sync_directory,
    write_durably,
)

# Components of digits, at most 64 characters: nothing else becomes a file name. PS3.5 9.1 allows no leading zeros, and
# there are devices that write them.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_PRIVATE_FILE = 0o600
_LOCKS = 64
SYNCHRONISERS = 16
"""Threads at most, made one by one when they are needed, that stay."""
_BEGIN_BYTES = 4 * 2**20
"""After so many bytes the system begins to write them, so that little is left for the end."""

DISK_LOW = (
    "Less than {bytes} bytes are free on the disk of storage.root: no study is taken up until there is room. "
    "See storage.pause_free_bytes."
)


GONE = (
    "storage.root {root} has lost its marker file {marker}, so it is another directory than at the start. "
    "Is the share or disk mounted? Work goes on when it is back."
)
MARKER = "storage-id"


def read_marker(root: Path) -> str:
    """Return the id of the storage root; empty where it has none. Raises OSError."""
    try:
        return (root / MARKER).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write_marker(root: Path, storage_id: str) -> None:
    """Give the storage root that id, durably. Raises OSError."""
    write_durably(root / MARKER, f"{storage_id}\n".encode(), _PRIVATE_FILE)


def is_valid_uid(uid: str) -> bool:
    """Return whether `uid` obeys PS3.5 section 9.1, apart from leading zeros."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


class InstanceStore:
    """The storage root; several receivers may use one at the same time, each a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._incoming, self._lock_files = self.root / "incoming", self.root / "locks"
        # Makes no thread before it is needed.
        self._synchronisers = ThreadPoolExecutor(SYNCHRONISERS, "synchronise")
        self._marker = read_marker(self.root)
        make_directory(self._incoming, PRIVATE_DIRECTORY)
        make_directory(self._lock_files, PRIVATE_DIRECTORY)

    def resolve(self, relative: str) -> Path:
        """The file of a path that a row holds."""
        return self.root / relative

    @contextmanager
    def exclusively(self, sop_instance_uid: str) -> Iterator[None]:
        """Inside, nobody else keeps an instance of the same UID: no thread, and no other receiver of this root."""
        place = zlib.crc32(sop_instance_uid.encode()) % _LOCKS
        lock = os.open(self._lock_files / f"{place:02d}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def free_bytes(self) -> int:
        """Bytes that are free on the storage root's file system."""
        return shutil.disk_usage(self.root).free

    def has_room(self, least_free_bytes: int) -> bool:
        """Whether so much is free."""
        return self.free_bytes() >= least_free_bytes

    def require(self) -> None:
        """Raise TransientError while the root is another directory than at the start, as a share that went away."""
        try:
            marker = read_marker(self.root)
        except OSError:
            marker = ""
        if marker != self._marker:
            raise TransientError(GONE.format(root=self.root, marker=MARKER))

    def conflicts(self) -> list[tuple[Path, datetime]]:
        """What is kept beside other bytes of the same UID, and since when; the oldest first."""
        kept = [(path, path.stat().st_mtime) for path in (self.root / "conflicts").glob("*.dcm")]
        return [(path, datetime.fromtimestamp(at, UTC)) for path, at in sorted(kept, key=lambda one: one[1])]

    def link(self, kept: str, relative: str) -> None:
        """Give the file at `kept` the name `relative`, too, durably; once more changes nothing. Raises OSError."""
        final = self.root / relative
        make_directory(final.parent, PRIVATE_DIRECTORY)
        with suppress(FileExistsError):
            final.hardlink_to(self.root / kept)
        sync_directory(final.parent)

    def sweep(self) -> int:
        """Number of files removed that were being received when their receiver ended; those of others stay."""
        return sum(_remove_if_forsaken(part) for part in self._incoming.glob("*.part"))

    def incoming(self, head: bytes) -> "IncomingFile":
        """A new file in `incoming` that begins with `head`. Raises OSError."""
        return IncomingFile(self._incoming / f"{secrets.token_hex(16)}.part", head)

    def admit(self, incoming: "IncomingFile", relative: str) -> None:
        """The bytes of `incoming` are at `relative`, whole and durable, and nowhere else. Raises OSError."""
        final = self.root / relative
        make_directory(final.parent, PRIVATE_DIRECTORY)
        incoming.move(final)
        # Two requests at once are one flush of the disk, two in a row are two. What a power cut leaves under the name
        # before both are answered has no row, and gives way to whatever comes.
        directory = self._synchronisers.submit(sync_directory, final.parent)
        try:
            incoming.sync()
        finally:
            directory.result()
        incoming.keep()


class IncomingFile:
    """One instance while it arrives: hashed and counted as it is written."""

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        """Where the bytes are now."""
        self.head_length = len(head)
        self.byte_count = 0
        self._blake3 = blake3.blake3()
        self._begun = 0
        self._admitted = False
        self._descriptor = _held(path)
        try:
            _write_all(self._descriptor, [memoryview(head)])
        except OSError:
            self.discard()
            raise

    @property
    def blake3(self) -> str:
        """Hex digest of what was written after the head."""
        return self._blake3.hexdigest()

    def sha256(self) -> str:
        """The same by SHA-256, read back from the disk. Raises OSError."""
        with self.path.open("rb") as file:
            file.seek(self.head_length)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write(self, fragments: Sequence[memoryview]) -> None:
        """Append at most 1,024 fragments. Raises OSError."""
        for fragment in fragments:
            self._blake3.update(fragment)
        self.byte_count += _write_all(self._descriptor, fragments)
        if self.byte_count - self._begun >= _BEGIN_BYTES:
            start_writing(self._descriptor, self._begun, self.byte_count - self._begun)
            self._begun = self.byte_count

    def move(self, final: Path) -> None:
        """The file is at `final`, and still ours to discard."""
        self.path.replace(final)
        self.path = final

    def sync(self) -> None:
        """All that was written is on the disk."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)

    def keep(self) -> None:
        """The file is no longer ours to discard, nor to write to."""
        self._admitted = True
        self._close()

    def discard(self) -> None:
        """The file is gone, unless it was admitted."""
        self._close()
        if not self._admitted:
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _held(path: Path) -> int:
    """A new file, which nobody sweeps before it is closed; by the end of its process at the latest."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # else it was swept between the two calls
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove_if_forsaken(part: Path) -> bool:
    """Whether nobody held it; it is gone then."""
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
    """The number of bytes, all of which the system has taken; Linux takes 1,024 fragments at once."""
    length, written = sum(map(len, fragments)), os.writev(descriptor, fragments)
    if written < length:  # the disk is full, or a signal came
        rest = memoryview(b"".join(fragments))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return length
