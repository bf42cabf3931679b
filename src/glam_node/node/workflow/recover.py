"""After a crash: what died processes of this host held is free at once, without waiting for leases to run out."""

import os
import socket
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import jobs

log = structlog.get_logger(__name__)

PROCESSES = Path("/proc")
# proc_pid_stat(5), fields counted after the program's name: state, and when the process started
STATE, START_TIME = 0, 19
DEAD = frozenset("ZX")


def this_process() -> str:
    """A name for this process that no other has had or will have: host, process namespace, number, start."""
    return f"{_place()}:{os.getpid()}:{_started(os.getpid())}"


def recover(session: Session, now: datetime) -> int:
    """How many jobs were leased to processes of this host that are no more; their leases are over."""
    held = [job for job in jobs.running(session) if job.lease_expires_at is None or job.lease_expires_at > now]
    gone = [job for job in held if is_gone(job.lease_owner)]
    freed = [job for job in gone if jobs.expire(session, job, now)]
    for job in freed:
        log.info("job_freed", job_id=job.job_id, study_instance_uid=job.study_instance_uid, owner=job.lease_owner)
    return len(freed)


def is_gone(owner: str) -> bool:
    """Whether the process of that name is known to be no more.

    Of another host, or where processes cannot be looked up, nobody is.
    """
    place, _, process = owner.rpartition(":")[0].rpartition(":")
    started = owner.rpartition(":")[2]
    return place == _place() and bool(started) and process.isdigit() and _started(int(process)) != started


def _place() -> str:
    """Containers on one host may share its name, but not its processes."""
    try:
        namespace = (PROCESSES / "self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return f"{socket.gethostname()}/{namespace}"


def _started(process: int) -> str:
    """When it started, in ticks since the host did; empty when it is not alive, or cannot be looked up."""
    try:
        fields = (PROCESSES / str(process) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    values = fields.split()
    return "" if values[STATE] in DEAD else values[START_TIME]
