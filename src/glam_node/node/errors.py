"""Failures of the node, each of which is transient or permanent; adapters translate other errors into one of them."""


class NodeError(Exception):
    """A failure of a peer, a disk, a database or a broker; the message names what failed, the cause and the remedy."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """DIMSE status, ACSE result/source/reason packed as 0xRRSSDD, or HTTP status; None without one."""


class TransientError(NodeError):
    """A failure that may pass, such as archive down, association rejected as transient, disk full, database locked."""


class PermanentError(NodeError):
    """A failure that lasts until a person acts, such as unknown AE title, refused SOP class, wrong data set."""
