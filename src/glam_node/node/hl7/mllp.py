"""Frames of the Minimal Lower Layer Protocol (HL7 v3 transport specification, MLLP release 1): VT, message, FS, CR."""

import re

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
END = FS + CR
_ENDS = re.compile(rb"\x1c[\r\n]")
"""Ends of a frame; some systems send LF in place of CR."""


class TooLong(Exception):
    """The other side sent more bytes than a frame may have."""


def framed(message: bytes) -> bytes:
    """Return a message in a frame."""
    return VT + message + END


class FrameReader:
    """The messages in the bytes that arrive on a connection, in pieces of any size; bytes between frames are ignored.

    Args:
        maximum_bytes: Length of the longest message.
    """

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._bytes = bytearray()
        self._searched = 0
        self.ignored = 0
        """Number of bytes that arrived outside of frames since the last frame."""

    def add(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._bytes += data
        if not self._bytes.startswith(VT):
            start = self._bytes.find(VT)
            outside = start if start >= 0 else len(self._bytes)
            self.ignored += outside
            del self._bytes[:outside]

    @property
    def has_begun(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._bytes)

    def begun(self, length: int) -> bytes:
        """Return the first bytes of the frame that has begun."""
        return bytes(self._bytes[1 : length + 1])

    def next(self) -> bytes | None:
        """Return the next complete message, or None.

        Raises:
            TooLong: The message is longer than the longest one.
        """
        found = _ENDS.search(self._bytes, max(0, self._searched - 1))
        # A frame that has not ended may already have the first byte of its end.
        end = len(self._bytes) - 1 if found is None else found.start()
        if end > self._maximum_bytes + 1:
            raise TooLong
        if found is None:
            self._searched = len(self._bytes)
            return None
        message = bytes(self._bytes[1:end])
        del self._bytes[: found.end()]
        self._searched = self.ignored = 0
        self.add(b"")
        return message
