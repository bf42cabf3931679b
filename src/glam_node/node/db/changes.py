"""Atomic statements: UPDATE ... RETURNING, which gives a row to one process only, and INSERT of missing rows.

Two transactions that lock the same rows in another order wait for each other, and PostgreSQL ends one of them. So every
transaction locks the rows of studies first, then those of jobs, destinations and deliveries, and the rows of one table
in the order of their keys. A study is locked without its key (`key_share`), as a row that refers to it locks the key.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Insert, Select, SQLColumnExpression, and_, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db.tables import Base, StudyRow

Row = TypeVar("Row", bound=Base)
MOST_VALUES = 1000
"""Maximum number of values in one statement, which databases limit."""


def change(session: Session, table: type[Row], condition: ColumnElement[bool], **values: Any) -> list[Row]:
    """Set `values` on the rows that meet the condition, and return the changed rows."""
    return _change(session, table, in_order(session, table, condition), values)


def in_order(session: Session, table: type[Base], condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition in a form that locks the rows in the order of their keys, on a database with row locks."""
    if session.get_bind().dialect.name != "postgresql":
        return condition
    (key,) = inspect(table).primary_key
    return and_(key.in_(_locked(key, condition)), condition)


def lock(session: Session, key: SQLColumnExpression[str], condition: ColumnElement[bool]) -> None:
    """Lock the rows that meet the condition until the transaction ends, in the order of the primary key `key`."""
    session.scalars(_locked(key, condition)).all()


def _locked(key: SQLColumnExpression[Any], condition: ColumnElement[bool]) -> Select[Any]:
    return select(key).where(condition).order_by(key).with_for_update(key_share=True)


def _change(session: Session, table: type[Row], condition: ColumnElement[bool], values: dict[str, Any]) -> list[Row]:
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
    """Set `values` on up to `limit` due rows that no other process has claimed, and return those rows.

    Args:
        session: A session in a transaction.
        table: The table.
        key: The primary key of the table.
        due: The condition of a due row; `values` must make it false.
        order: The columns that decide which rows come first.
        limit: The maximum number of rows.
        **values: The new values by column.
    """
    # Rows that are skipped are not waited for, so that their order does not matter.
    first = select(key).where(due).order_by(*order).limit(limit).with_for_update(skip_locked=True)
    return _change(session, table, and_(key.in_(first), due), values)


def mark_changed(session: Session, study_instance_uids: Sequence[str] | Select[str]) -> None:
    """Increment the version of the studies, and lock their rows until the transaction ends.

    Call the function before each change that a person sees on the study's page, also before one of another table's row:
    all transactions lock the study first, so that no two of them wait for each other.
    """
    chosen = StudyRow.study_instance_uid.in_(study_instance_uids)
    change(session, StudyRow, chosen, version=StudyRow.version + 1)


def lock_studies(session: Session, study_instance_uids: Collection[str]) -> None:
    """Lock the rows of the studies until the transaction ends, before their deliveries are changed."""
    uids = sorted(study_instance_uids)
    for first in range(0, len(uids), MOST_VALUES):
        some = uids[first : first + MOST_VALUES]
        lock(session, StudyRow.study_instance_uid, StudyRow.study_instance_uid.in_(some))


def insert_missing(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, except those whose primary or unique key exists already (ON CONFLICT DO NOTHING)."""
    if not rows:
        return
    statement = _insert(table.__tablename__, session.get_bind().dialect.name)
    session.connection().execute(statement, list(rows))


@cache
def _insert(table: str, dialect: str) -> Insert:
    """Return the statement; it is cached, because building a statement costs as much as executing it."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(Base.metadata.tables[table]).on_conflict_do_nothing()
