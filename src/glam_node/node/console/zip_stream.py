"""ZIP archives that are sent while they are written, so that their size does not matter."""

import io
import zipfile
from collections.abc import Generator, Iterable
from pathlib import Path

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

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


class ZipResponse(StreamingResponse):
    """A response with a ZIP archive of files; an aborted download closes the file that is being read."""

    def __init__(self, files: Iterable[Path], name: str) -> None:
        self._pieces = zip_of(files)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(self._pieces, media_type="application/zip", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the archive. A file that cannot be read breaks the connection, so that the browser notices."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


def zip_of(files: Iterable[Path]) -> Generator[bytes]:
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
