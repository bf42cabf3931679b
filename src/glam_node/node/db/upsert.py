"""INSERT ... ON CONFLICT DO NOTHING, which SQLite and PostgreSQL spell alike and SQLAlchemy does not."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from glam_node.node.db.tables import Base


def insert_missing(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Every row is there, unless one with the same key (primary or unique) was there before: that stays as it is."""
    if not rows:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(Base.metadata.tables[table.__tablename__]).on_conflict_do_nothing(), list(rows))
