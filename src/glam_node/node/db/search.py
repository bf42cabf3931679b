"""Search for studies, one page at a time."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, and_, func, literal, or_, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from glam_node.node.db import studies
from glam_node.node.db.tables import DeliveryRow, JobRow, StudyRow
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import Standing, Study

COUNTED = 1000
"""Maximum number of studies that are counted, since counting more takes long and is of no use."""


class Attention(StrEnum):
    """Reasons why a person should look at a study."""

    GIVEN_UP = "given_up"
    """A job or a delivery was given up."""
    NOT_DELIVERED = "not_delivered"
    """A result still waits for its destination."""
    HELD = "held"
    SET_ASIDE = "set_aside"


class SortKey(StrEnum):
    """The column by which studies are sorted; studies with equal values are sorted by arrival of their last image."""

    RECEIVED = "received"
    STATE = "state"
    PATIENT_ID = "patient"
    STUDY_DATE = "study_date"


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Search criteria; an empty field matches every study."""

    study_instance_uid: str = ""
    """Any part of the Study Instance UID."""
    accession_number: str = ""
    """Beginning of the Accession Number."""
    state: str = ""
    rule: str = ""
    received_from: datetime | None = None
    """Earliest arrival of the last image."""
    received_before: datetime | None = None
    """Time before which the last image arrived."""
    attention: Attention | None = None
    patient_id: str = ""
    """Complete Patient ID."""
    study_date: str = ""
    """YYYYMMDD."""


@dataclass(frozen=True, slots=True)
class StudyPosition:
    """Position in the list of studies, next to the given study."""

    last_received_at: datetime
    study_instance_uid: str
    newer: bool = False
    """True for the newer neighbours of the study, False for the older ones."""


@dataclass(frozen=True, slots=True)
class StudyPage:
    """Page of the studies found; studies with a larger sort key count as newer, those with a smaller one as older."""

    studies: Sequence[Study]
    has_newer: bool
    has_older: bool


def find(
    session: Session,
    criteria: StudyFilter,
    position: StudyPosition | None,
    limit: int,
    *,
    oldest_first: bool = False,
    sort_key: SortKey = SortKey.RECEIVED,
) -> StudyPage:
    """Return a page of up to `limit` studies: the first of the list, or the neighbours of `position`.

    The study with the largest sort key, which is the newest by default, comes first unless `oldest_first` is set.
    """
    ascending = oldest_first if position is None else position.newer
    columns = _COLUMNS[sort_key]
    order = [column.asc() if ascending else column.desc() for column in columns]
    query = select(StudyRow.study_instance_uid).where(*_conditions(criteria))
    if position is not None:
        query = query.where(_next_to(session, position, sort_key))
    uids = list(session.scalars(query.order_by(*order).limit(limit + 1)))
    more, uids = len(uids) > limit, uids[:limit]
    if ascending != oldest_first:
        uids.reverse()
    has_more_behind = position is not None
    return StudyPage(
        studies.get_many(session, uids),
        has_newer=more if ascending else has_more_behind,
        has_older=has_more_behind if ascending else more,
    )


def count(session: Session, criteria: StudyFilter, page: StudyPage) -> int:
    """Return the number of matching studies, of which `page` is one page; COUNTED + 1 means more than COUNTED."""
    if not (page.has_newer or page.has_older):
        return len(page.studies)
    return _counted(session, criteria)


def attention_counts(session: Session) -> dict[Attention, int]:
    """Return the number of studies for each reason that applies to any study; COUNTED + 1 means more than COUNTED."""
    counts = {attention: _counted(session, StudyFilter(attention=attention)) for attention in Attention}
    return {attention: count for attention, count in counts.items() if count}


def delivery_counts(session: Session, study_instance_uids: Collection[str]) -> dict[str, Counter[DeliveryState]]:
    """Return the number of deliveries in each state for each study that has any, by Study Instance UID."""
    query = (
        select(DeliveryRow.study_instance_uid, DeliveryRow.state, func.count())
        .where(DeliveryRow.study_instance_uid.in_(study_instance_uids))
        .group_by(DeliveryRow.study_instance_uid, DeliveryRow.state)
    )
    found: dict[str, Counter[DeliveryState]] = {}
    for uid, state, count in session.execute(query):
        found.setdefault(uid, Counter())[DeliveryState(state)] = count
    return found


def _counted(session: Session, criteria: StudyFilter) -> int:
    some = select(StudyRow.study_instance_uid).where(*_conditions(criteria)).limit(COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def rules(session: Session) -> list[str]:
    """Return every rule that has decided a study, sorted by name."""
    found: list[str] = []
    while True:  # one look-up in the index per rule, because there are few rules and many studies
        rule = session.scalar(select(func.min(StudyRow.rule)).where(StudyRow.rule > (found[-1] if found else "")))
        if rule is None:
            return found
        found.append(rule)


class _place_in(FunctionElement[int]):
    """SQL function for the position of the second text in the first, from 1; 0 if it does not occur."""

    type = Integer()
    inherit_cache = True


class _unindexed(FunctionElement[str]):
    """Text of a column in a form for which SQLite uses no index.

    PostgreSQL gets the plain column, because it knows how common each value is.
    """

    type = Text()
    inherit_cache = True


@compiles(_place_in, "sqlite")
@compiles(_unindexed, "sqlite")
def _on_sqlite(element: _place_in | _unindexed, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    return f"instr({inner})" if isinstance(element, _place_in) else f"+{inner}"


@compiles(_place_in, "postgresql")
@compiles(_unindexed, "postgresql")
def _on_postgresql(element: _place_in | _unindexed, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    return f"strpos({inner})" if isinstance(element, _place_in) else inner


def _conditions(criteria: StudyFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of the search.

    A search by state alone or by rule alone uses an index that is sorted like the list. For several criteria, the index
    with all columns is read from its newest entry, since SQLite would otherwise often read the whole table.
    """
    several = bool(criteria.study_instance_uid or criteria.accession_number or (criteria.state and criteria.rule))
    conditions: list[ColumnElement[bool]] = []
    if criteria.study_instance_uid:
        conditions.append(_place_in(StudyRow.study_instance_uid, criteria.study_instance_uid) > 0)
    if criteria.state:
        conditions.append((_unindexed(StudyRow.state) if several else StudyRow.state) == criteria.state)
    if criteria.rule:
        conditions.append((_unindexed(StudyRow.rule) if several else StudyRow.rule) == criteria.rule)
    if criteria.received_from is not None:
        conditions.append(StudyRow.last_received_at >= criteria.received_from)
    if criteria.received_before is not None:
        conditions.append(StudyRow.last_received_at < criteria.received_before)
    if criteria.attention is not None:
        conditions.append(_needs(criteria.attention))
    return conditions + _identity_conditions(criteria)


def _identity_conditions(criteria: StudyFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on Accession Number, Patient ID and Study Date; the last two have an index."""
    conditions: list[ColumnElement[bool]] = []
    if criteria.accession_number:
        conditions.append(_place_in(StudyRow.accession_number, criteria.accession_number) == 1)
    if criteria.patient_id:
        conditions.append(StudyRow.patient_id == criteria.patient_id)
    if criteria.study_date:
        conditions.append(StudyRow.study_date == criteria.study_date)
    return conditions


def _needs(attention: Attention) -> ColumnElement[bool]:
    if attention is Attention.HELD:
        return StudyRow.standing == Standing.HELD
    if attention is Attention.SET_ASIDE:
        return StudyRow.standing == Standing.SET_ASIDE
    uid = StudyRow.study_instance_uid
    waiting = DeliveryState.PENDING if attention is Attention.NOT_DELIVERED else DeliveryState.ABANDONED
    affected: ColumnElement[bool] = uid.in_(select(DeliveryRow.study_instance_uid).where(DeliveryRow.state == waiting))
    if attention is Attention.GIVEN_UP:
        failed = select(JobRow.study_instance_uid).where(JobRow.state == JobState.FAILED)
        affected = or_(affected, uid.in_(failed))
    return and_(affected, StudyRow.standing != Standing.SET_ASIDE)


# Each sort key has an index with these columns, so that a page is read without sorting all studies.
_COLUMNS: Mapping[SortKey, tuple[InstrumentedAttribute[Any], ...]] = {
    SortKey.RECEIVED: (StudyRow.last_received_at, StudyRow.study_instance_uid),
    SortKey.STATE: (StudyRow.state, StudyRow.last_received_at, StudyRow.study_instance_uid),
    SortKey.PATIENT_ID: (StudyRow.patient_id, StudyRow.last_received_at, StudyRow.study_instance_uid),
    SortKey.STUDY_DATE: (StudyRow.study_date, StudyRow.last_received_at, StudyRow.study_instance_uid),
}


def _next_to(session: Session, position: StudyPosition, sort_key: SortKey) -> ColumnElement[bool]:
    """Return the condition of studies after or before a position; the position's own sort key is looked up."""
    columns = _COLUMNS[sort_key]
    values: list[Any] = [position.last_received_at, position.study_instance_uid]
    if sort_key is not SortKey.RECEIVED:
        its_key = select(columns[0]).where(StudyRow.study_instance_uid == position.study_instance_uid)
        values.insert(0, session.scalar(its_key) or "")
    typed = [literal(value, column.type) for column, value in zip(columns, values, strict=True)]
    if position.newer:
        return and_(columns[0] >= typed[0], tuple_(*columns) > tuple_(*typed))
    return and_(columns[0] <= typed[0], tuple_(*columns) < tuple_(*typed))
