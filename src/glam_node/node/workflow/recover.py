"""Recovery after a crash: jobs of dead processes on this host are freed before their leases run out."""

import os
import socket
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import jobs

log = structlog.get_logger(__name__)

PROCESSES = Path("/proc")
# proc_pid_stat(5): places, counted after the program's name, of the process's state and start time.
STATE, START_TIME = 0, 19
DEAD = frozenset("ZX")


def this_process() -> str:
    """Return a name for this process that no other ever has: host, process namespace, process ID and start time."""
    return f"{_place()}:{os.getpid()}:{_started(os.getpid())}"


def recover(session: Session, now: datetime) -> int:
    """End the leases of jobs whose processes on this host are dead, and return how many there were."""
    held = [job for job in jobs.running(session) if job.lease_expires_at is None or job.lease_expires_at > now]
    gone = [job for job in held if is_gone(job.lease_owner)]
    freed = [job for job in gone if jobs.expire(session, job, now)]
    for job in freed:
        log.info("job_freed", job_id=job.job_id, study_instance_uid=job.study_instance_uid, owner=job.lease_owner)
    return len(freed)


def is_gone(owner: str) -> bool:
    """Return whether the process of that name is known to be dead.

    Nothing is known about a process on another host, or where the system has no list of processes.
    """
    place, _, process = owner.rpartition(":")[0].rpartition(":")
    started = owner.rpartition(":")[2]
    return place == _place() and bool(started) and process.isdigit() and _started(int(process)) != started


def _place() -> str:
    """Return the host's name with the process namespace: containers may share the name, but not the processes."""
    try:
        namespace = (PROCESSES / "self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return f"{socket.gethostname()}/{namespace}"


def _started(process: int) -> str:
    """Return the start of a process in clock ticks since the host's; empty when it is dead or cannot be looked up."""
    try:
        fields = (PROCESSES / str(process) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    values = fields.split()
    return "" if values[STATE] in DEAD else values[START_TIME]
