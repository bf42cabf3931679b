"""Orders that a person gives for a study."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Actor:
    """Person who gives an order, for the audit trail."""

    account: str
    """Account of the console; on the command line, the user of the operating system."""
    address: str
    """Network address of the browser; on the command line, the name of the host."""


@dataclass(frozen=True, slots=True)
class Order:
    """Order of one person for one study."""

    study_instance_uid: str
    actor: Actor
    at: datetime
    reason: str = ""
    """Reason in the person's own words."""
    seen: str | None = None
    """Description of the study that the person saw (workflow.subject.seen_of); None to skip the comparison."""
