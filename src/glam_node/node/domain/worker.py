"""A process that works jobs off, as it told of itself last."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker; the jobs that it works on are those whose `lease_owner` has its name."""

    name: str
    """The name under which it claims jobs."""
    host: str
    process_id: int
    device: str
    """Where it computes: cpu, cuda:0 ...; empty where the predictor does not say."""
    route: str
    """By what, for people."""
    predictor: str
    """As the settings name it."""
    algorithm: str
    """Name and version of the package that it has loaded."""
    threads: int
    resident_bytes: int
    """Memory of the process; 0 where the system does not say."""
    device_bytes: int | None
    """Memory that it holds on its device; None: the device has none of its own."""
    device_total_bytes: int | None
    started_at: datetime
    last_seen_at: datetime
