"""Every failure of the node says whether trying again helps; adapters translate at their edge into one of these."""


class NodeError(Exception):
    """Something went wrong with a peer, a disk, a database or a broker; the message says who, what, and what to do."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """DIMSE status, ACSE result/source/reason packed as 0xRRSSDD, or HTTP status, where there was one."""


class TransientError(NodeError):
    """Trying again later may succeed: archive down, association rejected as transient, disk full, database locked."""


class PermanentError(NodeError):
    """Trying again will not help until a person acts: unknown AE title, refused SOP class, wrong data set."""
