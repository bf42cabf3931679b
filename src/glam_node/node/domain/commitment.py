"""Storage commitment: taking responsibility for instances, and being told that another does (PS3.4 Annex J)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

PUSH_MODEL = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class."""
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Its one well-known SOP Instance."""
REQUEST = 1
"""Action Type ID of Request Storage Commitment."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of what is answered."""

# PS3.3 C.14.1.1, Failure Reason
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance in a request or in an answer."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance for which nobody takes responsibility."""

    reference: Reference
    reason: int
    """Failure Reason (0008,1197)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is answered to a request."""

    transaction_uid: str
    committed: Sequence[Reference]
    failed: Sequence[Failure]

    @property
    def event_type(self) -> int:
        """Event Type ID."""
        return SOME_FAILED if self.failed else ALL_COMMITTED


class RequestState(StrEnum):
    """Where a peer's request is."""

    PENDING = "PENDING"
    """The peer waits for the answer."""
    REPORTED = "REPORTED"
    """It took the answer."""
    ABANDONED = "ABANDONED"
    """It did not take it, however often it was tried."""


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """A peer asks whether we keep what it sent."""

    request_id: str
    calling_ae_title: str
    transaction_uid: str
    references: Sequence[Reference]
    attempt: int
    """How often the answer was sent."""
