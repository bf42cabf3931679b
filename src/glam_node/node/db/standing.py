"""Standing of studies, and filters that leave out rows of studies that are held or set aside."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db import canary
from glam_node.node.db.tables import StudyRow
from glam_node.node.domain.study import LEGAL_STANDINGS, Holder, Standing, Study

Tally = dict[tuple[str, ...], int]

# This text must equal the condition of the partial index ix_studies_not_free, so that the database uses the index.
_NOT_FREE = "studies.standing <> 'FREE'"
HELD_BY_RULE = f"{_NOT_FREE} AND studies.held_by = 'rule'"
"""Condition of the studies that a rule holds, for the same index."""


def set_standing(
    session: Session,
    study: Study,
    standing: Standing,
    reason: str,
    held_until: datetime | None = None,
    held_by: Holder = Holder.PERSON,
) -> Study:
    """Free, hold or set aside the study because of `reason`, and return it.

    Args:
        session: A session in a transaction.
        study: The study.
        standing: The new standing.
        reason: The reason, for people.
        held_until: The time at which the node releases a study that is held; None if a person releases it.
        held_by: What holds the study, for a study that is held.

    Raises:
        ValueError: The transition is not legal.
    """
    row = session.get_one(StudyRow, study.study_instance_uid, with_for_update={"key_share": True})
    if standing not in LEGAL_STANDINGS[Standing(row.standing)]:
        raise ValueError(f"study {study.study_instance_uid} cannot go from {row.standing} to {standing}")
    row.standing, row.standing_reason, row.held_until = standing, reason, held_until
    row.held_by = held_by if standing is Standing.HELD else Holder.NONE
    row.version = StudyRow.version + 1
    return replace(study, standing=standing, standing_reason=reason)


def hold_for_patient(session: Session, study: Study, reason: str) -> Study:
    """Hold a study until a person decides about its patient, even if it was held for a time or by a rule before."""
    row = session.get_one(StudyRow, study.study_instance_uid, with_for_update={"key_share": True})
    if row.standing == Standing.HELD:
        reason = f"{reason}; before: {row.standing_reason}" if row.standing_reason else reason
        row.standing_reason, row.held_until, row.held_by = reason, None, Holder.PATIENT
        row.version = StudyRow.version + 1
        return replace(study, standing_reason=reason)
    return set_standing(session, study, Standing.HELD, reason, held_by=Holder.PATIENT)


def holder(session: Session, study_instance_uid: str) -> Holder:
    """Return what holds the study."""
    return Holder(session.get_one(StudyRow, study_instance_uid, populate_existing=True).held_by)


def to_release(session: Session, now: datetime) -> list[str]:
    """Return the UIDs of the studies that were held until a time that is over."""
    query = select(StudyRow.study_instance_uid).where(text(f"{_NOT_FREE} AND studies.standing = 'HELD'"))
    return list(session.scalars(query.where(StudyRow.held_until <= now).order_by(StudyRow.study_instance_uid)))


def held(session: Session) -> dict[str, str]:
    """Return why studies are held, by Study Instance UID."""
    query = select(StudyRow.study_instance_uid, StudyRow.standing_reason)
    query = query.where(text(f"{_NOT_FREE} AND studies.standing = 'HELD'")).order_by(StudyRow.study_instance_uid)
    return {uid: reason for uid, reason in session.execute(query)}


def may_proceed(study_instance_uid: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the condition that the row's study is neither held nor set aside."""
    return study_instance_uid.not_in(select(StudyRow.study_instance_uid).where(text(_NOT_FREE)))


def count_rows(session: Session, by: Sequence[InstrumentedAttribute[str]], of: InstrumentedAttribute[str]) -> Tally:
    """Return the number of rows for each combination of values, without those of studies set aside and of canaries.

    An index is enough to count all rows; the few rows of such studies are then subtracted.

    Args:
        session: A session.
        by: The columns to group by.
        of: The column with the Study Instance UID.
    """
    query = select(*by, func.count()).group_by(*by)
    set_aside = select(StudyRow.study_instance_uid).where(text(f"{_NOT_FREE} AND studies.standing = 'SET_ASIDE'"))
    counts = Counter({tuple(row[:-1]): row[-1] for row in session.execute(query)})
    apart = or_(of.in_(set_aside), of.in_(canary.present()))
    counts.subtract({tuple(row[:-1]): row[-1] for row in session.execute(query.where(apart))})
    return {values: count for values, count in counts.items() if count}
