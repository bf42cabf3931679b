"""Registered workers."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from glam_node.node.db.tables import WorkerRow
from glam_node.node.domain.worker import Worker


def put(session: Session, worker: Worker) -> None:
    """Add the worker, or replace the worker of the same name."""
    session.merge(WorkerRow(**asdict(worker)))


def remove(session: Session, name: str) -> None:
    """Remove the worker, if it is registered."""
    session.execute(delete(WorkerRow).where(WorkerRow.name == name))


def remove_unseen(session: Session, seen_before: datetime) -> None:
    """Remove workers that were last seen before `seen_before`."""
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen_at < seen_before))


def list_all(session: Session) -> list[Worker]:
    """Return all registered workers, the most recently seen one first."""
    rows = session.scalars(
        select(WorkerRow).order_by(WorkerRow.last_seen_at.desc()).execution_options(populate_existing=True)
    )
    return [Worker(**{name: getattr(row, name) for name in Worker.__dataclass_fields__}) for row in rows]
