"""What a person asks for of a study."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and from where."""

    account: str
    """Of the console; on the command line the user of the operating system."""
    address: str
    """Of the browser; on the command line the name of the host."""


@dataclass(frozen=True, slots=True)
class Order:
    """One act of one person on one study."""

    study_instance_uid: str
    actor: Actor
    at: datetime
    reason: str = ""
    """In the person's own words."""
    seen: str | None = None
    """What the study was when the person decided (workflow.subject.seen_of); None: whatever it is."""
