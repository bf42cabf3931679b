"""Recovery: jobs of dead processes on this host are freed, and waits are shortened after the clock was set back."""

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import clock, jobs
from glam_node.node.domain.job import RetryPolicy
from glam_node.node.workflow.deliver import answer_commitments
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy
from glam_node.node.workflow.deliver.send_results import CLAIM_TIME
from glam_node.node.workflow.record.alerts import SEND_AGAIN

log = structlog.get_logger(__name__)

PROCESSES = Path("/proc")
# Positions of the process's state and start time among the fields after the program's name (proc_pid_stat(5)).
STATE, START_TIME = 0, 19
DEAD = frozenset("ZX")


def this_process() -> str:
    """Return a name that no other process ever gets: host, process namespace, process ID and start time."""
    return f"{_host_and_namespace()}:{os.getpid()}:{_start_time(os.getpid())}"


def recover(session: Session, now: datetime) -> int:
    """End the leases of jobs whose processes on this host are dead, and return how many there were."""
    held = [job for job in jobs.running(session) if job.lease_expires_at is None or job.lease_expires_at > now]
    gone = [job for job in held if is_gone(job.lease_owner)]
    freed = [job for job in sorted(gone, key=lambda one: one.job_id) if jobs.expire(session, job, now)]
    for job in freed:
        log.info("job_freed", job_id=job.job_id, study_instance_uid=job.study_instance_uid, owner=job.lease_owner)
    return len(freed)


def is_gone(owner: str) -> bool:
    """Return whether the process of that name is known to be dead.

    A process on another host, or on a system without a list of processes, counts as alive.
    """
    place, _, process = owner.rpartition(":")[0].rpartition(":")
    started = owner.rpartition(":")[2]
    return (
        place == _host_and_namespace() and bool(started) and process.isdigit() and _start_time(int(process)) != started
    )


def _host_and_namespace() -> str:
    """Return the host's name with the process namespace: containers may share the name, but not the processes."""
    try:
        namespace = (PROCESSES / "self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return f"{socket.gethostname()}/{namespace}"


def _start_time(process: int) -> str:
    """Return the start of a process in clock ticks since the host booted; empty when it is dead or unknown."""
    try:
        fields = (PROCESSES / str(process) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    values = fields.split()
    return "" if values[STATE] in DEAD else values[START_TIME]


def shorten_impossible_waits(
    session: Session,
    now: datetime,
    *,
    lease_time_s: float,
    inference_policy: RetryPolicy,
    delivery_policy: RetryPolicy,
    commitment_policy: CommitmentPolicy,
) -> int:
    """Shorten waits that end later than these settings allow, and return how many there were.

    Studies, jobs, deliveries, requests for storage commitment and alert messages have such times when they were written
    before the clock was set back.
    """
    delivery_delay = timedelta(seconds=delivery_policy.maximum_delay_s)
    longest = clock.LongestWaits(
        job=timedelta(seconds=max(lease_time_s, inference_policy.maximum_delay_s)),
        delivery=max(CLAIM_TIME, delivery_delay),
        archive_reply=commitment_policy.patience,
        peer_reply=max(answer_commitments.CLAIM_TIME, delivery_delay),
        alert=timedelta(seconds=SEND_AGAIN.maximum_delay_s),
        archives=tuple(commitment_policy.archives),
    )
    freed = clock.correct_future_times(session, now, longest)
    if freed:
        log.warning("clock_went_back", freed=freed)
    return freed
