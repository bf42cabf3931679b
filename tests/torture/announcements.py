"""Announcements of jobs in addition to those of the dispatcher."""

from sqlalchemy import select

from glam_node.node.bootstrap import Node
from glam_node.node.db import jobs
from glam_node.node.db.engine import reading
from glam_node.node.db.tables import JobRow
from glam_node.node.domain.job import Priority
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.queue import CeleryQueue


def announce_unfinished(node: Node, redis_url: str, *, times: int) -> int:
    """Announce every unfinished job this number of times, running ones too; return the number of unfinished jobs."""
    with reading(node.sessions)() as session:  # a frozen process may hold the database's lock
        unfinished = list(session.scalars(select(JobRow.job_id).where(JobRow.state.in_(jobs.UNFINISHED))))
    queue = CeleryQueue(create_app(redis_url))
    for job_id in unfinished * times:
        queue.announce(job_id, Priority.SCREENING)
    return len(unfinished)
