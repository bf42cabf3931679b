"""ZIP archives that are sent while they are written, so that their size does not matter."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

PIECE_BYTES = 2**20
"""The number of bytes of a file that are read at once."""


class _Written(io.RawIOBase):
    """A file that keeps the bytes that were written to it until they are taken."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        """Return the bytes that were written since the last call."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


def zip_of(files: Iterable[Path]) -> Iterator[bytes]:
    """Return a ZIP archive of the files, uncompressed, in pieces; each file is read when its turn comes."""
    written = _Written()
    with zipfile.ZipFile(written, "w") as archive:
        for path in files:
            described = zipfile.ZipInfo.from_file(path, path.name)
            with path.open("rb") as file, archive.open(described, "w") as entry:
                while piece := file.read(PIECE_BYTES):
                    entry.write(piece)
                    yield written.take()
    yield written.take()
