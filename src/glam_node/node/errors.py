"""Failures of the node, each of which is transient or permanent; adapters translate errors into one of these."""


class NodeError(Exception):
    """A failure of a peer, a disk, a database or a broker; the message names it, the cause and the remedy."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """DIMSE status, ACSE result/source/reason packed as 0xRRSSDD, or HTTP status; None without one."""


class TransientError(NodeError):
    """Trying again later may succeed: archive down, association rejected as transient, disk full, database locked."""


class PermanentError(NodeError):
    """Trying again will not help until a person acts: unknown AE title, refused SOP class, wrong data set."""
