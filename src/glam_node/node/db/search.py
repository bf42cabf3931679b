"""Finds studies among many, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from glam_node.node.db import studies
from glam_node.node.db.tables import StudyRow
from glam_node.node.domain.study import Study

COUNTED = 1000
"""To count on takes long, and tells nobody anything."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; what is empty does not matter."""

    study_instance_uid: str = ""
    """A part of it."""
    accession_number: str = ""
    """How it begins."""
    state: str = ""
    rule: str = ""
    received_from: datetime | None = None
    """The last image came then or later."""
    received_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Between two studies of the list: beside this one."""

    last_received_at: datetime
    study_instance_uid: str
    newer: bool = False
    """Of the newer side of it, not of the older one."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of what was found, the study that received something last first."""

    studies: Sequence[Study]
    has_newer: bool
    has_older: bool


def find(session: Session, wanted: Wanted, place: Place | None, limit: int) -> Leaf:
    """Up to `limit` studies, the newest, or those beside `place`."""
    newer = place is not None and place.newer
    columns = (StudyRow.last_received_at, StudyRow.study_instance_uid)
    order = [column.asc() if newer else column.desc() for column in columns]
    query = select(StudyRow.study_instance_uid).where(*_conditions(wanted))
    if place is not None:
        query = query.where(_beside(place))
    uids = list(session.scalars(query.order_by(*order).limit(limit + 1)))
    more, uids = len(uids) > limit, uids[:limit]
    if newer:
        uids.reverse()
    found = studies.get_many(session, uids)
    return Leaf(found, has_newer=more if newer else place is not None, has_older=True if newer else more)


def count(session: Session, wanted: Wanted) -> int:
    """How many there are; COUNTED + 1: more than that."""
    some = select(StudyRow.study_instance_uid).where(*_conditions(wanted)).limit(COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def rules(session: Session) -> list[str]:
    """Every rule that has decided a study, by name."""
    found: list[str] = []
    while True:  # from one to the next by the index: there are few rules and many studies
        rule = session.scalar(select(func.min(StudyRow.rule)).where(StudyRow.rule > (found[-1] if found else "")))
        if rule is None:
            return found
        found.append(rule)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.study_instance_uid:
        # Apart, so that the index of UIDs is read from end to end and not the table.
        alike = StudyRow.study_instance_uid.contains(wanted.study_instance_uid, autoescape=True)
        conditions.append(StudyRow.study_instance_uid.in_(select(StudyRow.study_instance_uid).where(alike)))
    if wanted.accession_number:
        begins = wanted.accession_number
        conditions.append(and_(StudyRow.accession_number >= begins, StudyRow.accession_number < begins + "\uffff"))
    if wanted.state:
        conditions.append(StudyRow.state == wanted.state)
    if wanted.rule:
        conditions.append(StudyRow.rule == wanted.rule)
    if wanted.received_from is not None:
        conditions.append(StudyRow.last_received_at >= wanted.received_from)
    if wanted.received_before is not None:
        conditions.append(StudyRow.last_received_at < wanted.received_before)
    return conditions


def _beside(place: Place) -> ColumnElement[bool]:
    at, uid = StudyRow.last_received_at, StudyRow.study_instance_uid
    if place.newer:
        return and_(at >= place.last_received_at, or_(at > place.last_received_at, uid > place.study_instance_uid))
    return and_(at <= place.last_received_at, or_(at < place.last_received_at, uid < place.study_instance_uid))
