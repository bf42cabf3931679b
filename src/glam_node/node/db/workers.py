"""Workers, as they tell of themselves."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from glam_node.node.db.tables import WorkerRow
from glam_node.node.domain.worker import Worker


def put(session: Session, worker: Worker) -> None:
    """The worker is on record as given."""
    session.merge(WorkerRow(**asdict(worker)))


def remove(session: Session, name: str) -> None:
    """There is no such worker."""
    session.execute(delete(WorkerRow).where(WorkerRow.name == name))


def forget(session: Session, seen_before: datetime) -> None:
    """Workers that were not seen since are not on record any more."""
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen_at < seen_before))


def known(session: Session) -> list[Worker]:
    """All of them, the one that was seen last first."""
    rows = session.scalars(
        select(WorkerRow).order_by(WorkerRow.last_seen_at.desc()).execution_options(populate_existing=True)
    )
    return [Worker(**{name: getattr(row, name) for name in Worker.__dataclass_fields__}) for row in rows]
