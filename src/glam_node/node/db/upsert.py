"""INSERT ... ON CONFLICT DO NOTHING for both databases, for which SQLAlchemy has no common function."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from glam_node.node.db.tables import Base


def insert_missing(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, except those whose primary or unique key exists already."""
    if not rows:
        return
    statement = _insert(table.__tablename__, session.get_bind().dialect.name)
    session.connection().execute(statement, list(rows))


@cache
def _insert(table: str, dialect: str) -> Insert:
    """Return the statement, built once, since building it costs as much as executing it."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(Base.metadata.tables[table]).on_conflict_do_nothing()
