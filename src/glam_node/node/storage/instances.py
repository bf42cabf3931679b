"""Received instances on disk: streamed into `incoming`, then moved to their place in one step."""

import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, sync_directory

# PS3.5 9.1: components of digits without leading zeros, at most 64 characters; nothing else becomes a file name.
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_PRIVATE_FILE = 0o600


def is_valid_uid(uid: str) -> bool:
    """Whether `uid` obeys PS3.5 section 9.1."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


class InstanceStore:
    """The storage root."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._incoming = self.root / "incoming"
        make_directory(self._incoming, PRIVATE_DIRECTORY)
        self._locks = tuple(threading.Lock() for _ in range(64))

    def resolve(self, relative: str) -> Path:
        """The file of a path that a row holds."""
        return self.root / relative

    @contextmanager
    def exclusively(self, sop_instance_uid: str) -> Iterator[None]:
        """Inside, no other thread of this process keeps an instance of the same UID."""
        with self._locks[hash(sop_instance_uid) % len(self._locks)]:
            yield

    def free_bytes(self) -> int:
        """Bytes that are free on the storage root's file system."""
        return shutil.disk_usage(self.root).free

    def sweep(self) -> int:
        """Number of files removed that were being received when the receiver ended."""
        parts = list(self._incoming.glob("*.part"))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)

    def incoming(self, head: bytes) -> "IncomingFile":
        """A new file in `incoming` that begins with `head`. Raises OSError."""
        return IncomingFile(self._incoming / f"{secrets.token_hex(16)}.part", head)

    def admit(self, incoming: "IncomingFile", relative: str) -> None:
        """The bytes of `incoming` are at `relative`, whole and durable, and nowhere else. Raises OSError."""
        final = self.root / relative
        incoming.sync()
        make_directory(final.parent, PRIVATE_DIRECTORY)
        incoming.move(final)
        sync_directory(final.parent)


class IncomingFile:
    """One instance while it arrives: hashed and counted as it is written."""

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        """Where the bytes are now."""
        self.head_length = len(head)
        self.byte_count = 0
        self._sha256 = hashlib.sha256()
        self._admitted = False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            _write_all(self._descriptor, memoryview(head))
        except OSError:
            self.discard()
            raise

    @property
    def sha256(self) -> str:
        """Hex digest of what was written after the head."""
        return self._sha256.hexdigest()

    def write(self, data: memoryview) -> None:
        """Append. Raises OSError."""
        self._sha256.update(data)
        self.byte_count += len(data)
        _write_all(self._descriptor, data)

    def sync(self) -> None:
        """All that was written is on the disk; nothing more can be written."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            self._close()

    def move(self, final: Path) -> None:
        """The file is at `final` and no longer ours to discard."""
        self.path.replace(final)
        self.path, self._admitted = final, True

    def discard(self) -> None:
        """The file is gone, unless it was admitted."""
        self._close()
        if not self._admitted:
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
