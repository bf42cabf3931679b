"""One result object on its way to one destination."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "PENDING"
    STANDBY = "STANDBY"
    """Goes out only if the destination takes no objects of the SOP class that it stands in for."""
    WITHHELD = "WITHHELD"
    """Made and kept, and not sent: the destination or the rule that routed the study is in shadow, or its images were
    replaced by newer versions."""
    STORED = "STORED"
    """The destination answered success."""
    COMMITTED = "COMMITTED"
    """The destination has taken responsibility (storage commitment)."""
    REPLACED = "REPLACED"
    """The destination takes no objects of its SOP class; what stands in for it goes out instead."""
    ABANDONED = "ABANDONED"
    """Given up; `failure` says why; a person acts."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One object for one destination; (destination, sop_instance_uid) is unique, so nothing is queued twice."""

    delivery_id: str
    job_id: str
    study_instance_uid: str
    destination: str
    """Name of the [destinations.NAME] section."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the storage root."""
    state: DeliveryState
    attempt: int
    next_attempt_at: datetime
    transaction_uid: str
    """Of the request for storage commitment that it is in, or was in last; empty: none."""
    failure: str
    created_at: datetime
    stored_at: datetime | None
    transaction_count: int = 0
    """In how many requests it was."""
    warning: str = ""
    """What the destination said of it when it stored it (a warning status); empty: nothing."""
    alone: bool = False
    """It made the destination break off: it goes after all others, and by itself."""
