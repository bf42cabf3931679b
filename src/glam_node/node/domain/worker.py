"""Workers, with the facts that they stated when they last registered."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Worker:
    """Worker process; its running jobs have its name as `lease_owner`."""

    name: str
    """Name under which the worker claims jobs."""
    host: str
    process_id: int
    device: str
    """Device that runs the model, such as cpu or cuda:0; empty if the predictor does not name one."""
    route: str
    """Description of the implementation that runs the model, for people."""
    predictor: str
    """Name of the predictor in the settings."""
    algorithm: str
    """Name and version of the loaded model package."""
    threads: int
    resident_bytes: int
    """Memory of the process; 0 if the system does not say."""
    device_bytes: int | None
    """Device memory that the worker holds; None if the device has no memory of its own."""
    device_total_bytes: int | None
    started_at: datetime
    last_seen_at: datetime
