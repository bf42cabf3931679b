"""Base of all tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import DeclarativeBase

from glam_node.node.db.engine import UtcDateTime

UID = String(64)


class Base(DeclarativeBase):
    """Base of all tables, with the metadata that Alembic compares with the database."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON, list[Any]: JSON}  # noqa: RUF012


def partial_index(name: str, column: str, condition: str) -> Index:
    """Return an index of the rows that meet the condition."""
    return Index(name, column, postgresql_where=text(condition), sqlite_where=text(condition))
