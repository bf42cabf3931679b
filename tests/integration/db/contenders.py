"""Functions that the tests of this folder run in other processes, which can import this module."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier

from glam_node.node.db import deliveries, jobs, migrate
from glam_node.node.db.engine import SessionFactory, open_database
from tests.builders import NOW, after


@contextmanager
def opened(url: str) -> Iterator[SessionFactory]:
    """Yield a factory of sessions, and close its connections afterwards."""
    sessions = open_database(url)
    try:
        yield sessions
    finally:
        sessions.kw["bind"].dispose()


def claim_all(url: str, owner: str, job_ids: list[str]) -> list[str]:
    """Try to claim every job and return those that were claimed."""
    won = []
    with opened(url) as sessions:
        for job_id in job_ids:
            with sessions.begin() as session:
                job = jobs.claim(session, job_id, owner=owner, now=NOW, lease_s=60, maximum_attempts=3)
            if job is not None:
                assert job.lease_owner == owner
                won.append(job_id)
    return won


def claim_deliveries(url: str, destination: str) -> list[str]:
    """Claim three deliveries at a time until none is due, and return those that were claimed."""
    won: list[str] = []
    with opened(url) as sessions:
        while True:
            with sessions.begin() as session:
                claimed = deliveries.claim_due(session, destination, now=NOW, until=after(60), limit=3)
            if not claimed:
                return won
            won += [delivery.delivery_id for delivery in claimed]


def upgrade(url: str, barrier: Barrier) -> None:
    """Upgrade the database to the newest schema at the same moment as other processes."""
    barrier.wait(timeout=60)
    migrate.upgrade(url)
