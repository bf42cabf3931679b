"""Filters that leave out rows of studies that are held or set aside."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db.tables import StudyRow

Tally = dict[tuple[str, ...], int]

# This text must equal the condition of the partial index ix_studies_not_free, so that the database uses the index.
_NOT_FREE = "studies.standing <> 'FREE'"


def may_proceed(study_instance_uid: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the condition that the row's study is neither held nor set aside."""
    return study_instance_uid.not_in(select(StudyRow.study_instance_uid).where(text(_NOT_FREE)))


def count_rows(session: Session, by: Sequence[InstrumentedAttribute[str]], of: InstrumentedAttribute[str]) -> Tally:
    """Return the number of rows for each combination of values, without rows of studies that are set aside.

    An index is enough to count all rows; the few rows of studies that are set aside are then subtracted.

    Args:
        session: A session.
        by: The columns to group by.
        of: The column with the Study Instance UID.
    """
    query = select(*by, func.count()).group_by(*by)
    set_aside = select(StudyRow.study_instance_uid).where(text(f"{_NOT_FREE} AND studies.standing = 'SET_ASIDE'"))
    counts = Counter({tuple(row[:-1]): row[-1] for row in session.execute(query)})
    counts.subtract({tuple(row[:-1]): row[-1] for row in session.execute(query.where(of.in_(set_aside)))})
    return {values: count for values, count in counts.items() if count}
