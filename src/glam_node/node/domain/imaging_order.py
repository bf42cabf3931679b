"""Orders that the hospital announces, and the end of a first read, as messages state them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from glam_node.node.domain.job import Priority
from glam_node.node.domain.stated_patient import PatientIdentifier


class OrderStep(StrEnum):
    """Step of an order that a message announces."""

    PLACED = "placed"
    """The order is new, or released after it was on hold."""
    CHANGED = "changed"
    ON_HOLD = "on hold"
    """The study is not fetched until the order is released."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REPORTED = "reported"
    """A report on the study is final or corrected."""
    NOTED = "noted"
    """The message has no effect on the order, such as a report that is preliminary."""


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """Statement of one message about one order."""

    step: OrderStep
    patient: PatientIdentifier
    accession_number: str = ""
    study_instance_uid: str = ""
    """Empty if the message does not state it."""
    priority: Priority | None = None
    reason: str = ""
    """Reason for the study. Free text, never logged."""
    scheduled_at: datetime | None = None

    @property
    def key(self) -> str:
        """Key of the order: the same for all messages about it."""
        return order_key(self.accession_number or self.study_instance_uid, self.patient)


def order_key(number: str, patient: PatientIdentifier) -> str:
    """Return the key of the order with this Accession Number, or Study Instance UID if it has none.

    Before schema 0026 the key of every order was that of an order without an assigning authority.
    """
    parts = [number, patient.value, patient.authority.casefold() or patient.universal_id]
    return hashlib.sha256("\0".join(parts if parts[2] else parts[:2]).encode()).hexdigest()


class FetchState(StrEnum):
    """State of fetching the study of an order."""

    NONE = ""
    """The study is not fetched by the node."""
    WAITING = "WAITING"
    """The node looks for the study at the source, or waits for its scheduled time."""
    FETCHED = "FETCHED"
    WITHDRAWN = "WITHDRAWN"
    """The order was cancelled, or is on hold."""
    GIVEN_UP = "GIVEN_UP"
    """The study was not found, or not fetched, within hl7.fetch_time; `failure` says why."""


@dataclass(frozen=True, slots=True)
class ImagingOrder:
    """Order as the node knows it."""

    order_key: str
    reference: str
    """Name of the order for people, which says nothing about the patient; empty if an older version recorded it."""
    accession_number: str
    study_instance_uid: str
    patient: PatientIdentifier
    priority: Priority | None
    reason: str
    """Reason for the study. Free text, never logged."""
    scheduled_at: datetime | None
    read_at: datetime | None
    """Time of the message that said that the first read is done."""
    cancelled: bool
    fetch_state: FetchState
    attempt: int
    """Number of looks for the study at the source."""
    next_attempt_at: datetime | None
    fetch_until: datetime | None
    instances: int
    """Number of instances that the source had at the last look."""
    failure: str
    changed_at: datetime
