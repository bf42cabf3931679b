"""Which rows belong to studies that may go on."""

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import InstrumentedAttribute

from glam_node.node.db.tables import StudyRow

# As the index of the few that are not free says it.
_NOT_FREE = "studies.standing <> 'FREE'"


def goes_on(study_instance_uid: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Of a study that is neither held nor set aside."""
    return study_instance_uid.not_in(select(StudyRow.study_instance_uid).where(text(_NOT_FREE)))


def counts(study_instance_uid: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Of a study that is not set aside."""
    set_aside = text(f"{_NOT_FREE} AND studies.standing = 'SET_ASIDE'")
    return study_instance_uid.not_in(select(StudyRow.study_instance_uid).where(set_aside))
