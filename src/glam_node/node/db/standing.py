"""Which rows belong to studies that may go on."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db.tables import StudyRow

Tally = dict[tuple[str, ...], int]

# As the index of the few that are not free says it.
_NOT_FREE = "studies.standing <> 'FREE'"


def goes_on(study_instance_uid: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Of a study that is neither held nor set aside."""
    return study_instance_uid.not_in(select(StudyRow.study_instance_uid).where(text(_NOT_FREE)))


def tally(session: Session, by: Sequence[InstrumentedAttribute[str]], of: InstrumentedAttribute[str]) -> Tally:
    """How many rows there are for each combination of values, those of studies that are set aside left out.

    These are few: they are counted apart and taken off, so that the many are counted by an index alone.
    """
    query = select(*by, func.count()).group_by(*by)
    set_aside = select(StudyRow.study_instance_uid).where(text(f"{_NOT_FREE} AND studies.standing = 'SET_ASIDE'"))
    counts = Counter({tuple(row[:-1]): row[-1] for row in session.execute(query)})
    counts.subtract({tuple(row[:-1]): row[-1] for row in session.execute(query.where(of.in_(set_aside)))})
    return {values: count for values, count in counts.items() if count}
