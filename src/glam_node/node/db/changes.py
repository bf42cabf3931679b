"""Rows changed by one statement, which says what they are now; so of any that ask at once just one changes each."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db.tables import Base

Row = TypeVar("Row", bound=Base)


def change(session: Session, table: type[Row], condition: ColumnElement[bool], **values: Any) -> list[Row]:
    """Whatever meets the condition has the values, and is returned."""
    statement = update(table).where(condition).values(values).returning(table)
    rows = session.scalars(statement.execution_options(synchronize_session=False, populate_existing=True))
    return list(rows)


def claim(
    session: Session,
    table: type[Row],
    key: InstrumentedAttribute[str],
    due: ColumnElement[bool],
    order: Sequence[InstrumentedAttribute[Any]],
    limit: int,
    **values: Any,
) -> list[Row]:
    """Up to `limit` rows that are due, the first in that order, have the values; nobody else has claimed them."""
    first = select(key).where(due).order_by(*order).limit(limit).with_for_update(skip_locked=True)
    return change(session, table, and_(key.in_(first), due), **values)
