"""Identity of the storage root that belongs to the database."""

import secrets

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from glam_node.node.db.changes import insert_missing
from glam_node.node.db.tables import InstanceRow, StorageRow, StudyRow
from glam_node.node.domain.study import StudyState

_ROW = 1
_NEWEST = 20


def known_storage(session: Session, *, lock: bool = False) -> tuple[str, bool]:
    """Return the ID of the storage root (empty if none was chosen), and whether a root's marker file contains the ID.

    With `lock`, other processes that lock the row wait until the transaction ends.
    """
    query = select(StorageRow)
    found = session.scalar(query.with_for_update() if lock else query)
    return (found.storage_id, found.is_bound) if found is not None else ("", False)


def choose_storage_id(session: Session) -> None:
    """Choose an ID unless there is one; commit the ID before it is written to the marker file of a root."""
    insert_missing(session, StorageRow, [{"row": _ROW, "storage_id": secrets.token_hex(16), "is_bound": False}])


def bind_storage(session: Session) -> None:
    """Record that the marker file of a root contains the ID."""
    session.execute(update(StorageRow).values(is_bound=True))


def forget_storage(session: Session) -> None:
    """Choose another ID for a database that was restored, because the original may still be in use."""
    session.execute(update(StorageRow).values(storage_id=secrets.token_hex(16), is_bound=False))


def newest_files(session: Session) -> list[str]:
    """Return the paths of the newest instances whose files should be in the storage root."""
    query = select(InstanceRow.path).join(StudyRow).where(StudyRow.state != StudyState.RETIRED)
    return list(session.scalars(query.order_by(InstanceRow.received_at.desc()).limit(_NEWEST)))
