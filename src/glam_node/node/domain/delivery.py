"""Deliveries: result objects on their way to a destination."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from glam_node.node.domain.job import Priority


class DeliveryState(StrEnum):
    """State of a delivery."""

    PENDING = "PENDING"
    """The object waits for its next attempt."""
    STANDBY = "STANDBY"
    """The object is a substitute: it is sent only if the destination refuses the SOP class that it replaces."""
    WITHHELD = "WITHHELD"
    """The object is kept and not sent: its destination or rule is in shadow, or its images were replaced."""
    STORED = "STORED"
    """The destination answered success."""
    COMMITTED = "COMMITTED"
    """The destination has taken responsibility (storage commitment)."""
    REPLACED = "REPLACED"
    """The destination refuses the SOP class of the object; its substitute is sent instead."""
    ABANDONED = "ABANDONED"
    """The object was given up; `failure` says why. A person has to act."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result object for one destination; no object is queued twice for the same destination."""

    delivery_id: str
    job_id: str
    study_instance_uid: str
    destination: str
    """Name of the [destinations.NAME] section."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Path of the file, relative to the storage root."""
    state: DeliveryState
    attempt: int
    next_attempt_at: datetime
    transaction_uid: str
    """Transaction UID of the last storage commitment request that named the object; empty for none."""
    failure: str
    created_at: datetime
    stored_at: datetime | None
    transaction_count: int = 0
    """Number of storage commitment requests that named the object."""
    warning: str = ""
    """Warning of the destination when it stored the object (a warning status); empty for none."""
    priority: Priority = Priority.SCREENING
    """Priority of the results, by which results for one destination are sent."""
    alone: bool = False
    """True if the connection was lost while the object was sent: it is sent again after all others, by itself."""
