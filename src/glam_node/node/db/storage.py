"""Identity of the storage root that belongs to the database."""

import secrets

from sqlalchemy import SmallInteger, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from glam_node.node.db.tables import Base, InstanceRow, StudyRow
from glam_node.node.db.upsert import insert_missing
from glam_node.node.domain.study import StudyState

_ROW = 1
_NEWEST = 20


class StorageRow(Base):
    """Single row with the ID that the storage root of this database has in its marker file."""

    __tablename__ = "storage"

    row: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    storage_id: Mapped[str] = mapped_column(String(32))
    is_bound: Mapped[bool]


def known_storage(session: Session, *, lock: bool = False) -> tuple[str, bool]:
    """Return the ID of the storage root, empty if none was chosen, and whether a root has it in its marker file.

    With `lock`, other processes that lock the row wait until the transaction ends.
    """
    query = select(StorageRow)
    found = session.scalar(query.with_for_update() if lock else query)
    return (found.storage_id, found.is_bound) if found is not None else ("", False)


def choose_storage_id(session: Session) -> None:
    """Choose an ID unless there is one; commit it before a root has it in its marker file."""
    insert_missing(session, StorageRow, [{"row": _ROW, "storage_id": secrets.token_hex(16), "is_bound": False}])


def bind_storage(session: Session) -> None:
    """Record that a root has the ID in its marker file."""
    session.execute(update(StorageRow).values(is_bound=True))


def forget_storage(session: Session) -> None:
    """Choose another ID for a database that was restored, because the original may still be in use."""
    session.execute(update(StorageRow).values(storage_id=secrets.token_hex(16), is_bound=False))


def newest_files(session: Session) -> list[str]:
    """Return the paths of the newest instances whose files should be in the storage root."""
    query = select(InstanceRow.path).join(StudyRow).where(StudyRow.state != StudyState.RETIRED)
    return list(session.scalars(query.order_by(InstanceRow.received_at.desc()).limit(_NEWEST)))
