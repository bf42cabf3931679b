"""Storage commitment (PS3.4 Annex J): requests to take responsibility for instances, and the replies to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

PUSH_MODEL = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class."""
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Well-known SOP Instance UID of the Storage Commitment Push Model."""
REQUEST = 1
"""Action Type ID of Request Storage Commitment."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of the two kinds of reply."""

# PS3.3 C.14.1.1, Failure Reason
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(frozen=True, slots=True)
class Reference:
    """Reference to one instance in a request or a reply."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Instance for which responsibility was declined."""

    reference: Reference
    reason: int
    """Failure Reason (0008,1197)."""


@dataclass(frozen=True, slots=True)
class CommitmentReply:
    """Reply to a storage commitment request."""

    transaction_uid: str
    committed: Sequence[Reference]
    failed: Sequence[Failure]

    @property
    def event_type(self) -> int:
        """Event Type ID of the reply."""
        return SOME_FAILED if self.failed else ALL_COMMITTED


class RequestState(StrEnum):
    """State of a peer's request."""

    PENDING = "PENDING"
    """The peer waits for the reply."""
    REPORTED = "REPORTED"
    """The peer accepted the reply."""
    ABANDONED = "ABANDONED"
    """The peer did not accept the reply in any of the permitted attempts."""


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """Request of a peer to this node to take responsibility for the instances that the peer sent."""

    request_id: str
    calling_ae_title: str
    transaction_uid: str
    references: Sequence[Reference]
    attempt: int
    """Number of attempts to send the reply."""
