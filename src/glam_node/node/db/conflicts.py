"""Newer versions of instances that wait until a person accepts or rejects them."""

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from glam_node.node.db import canary
from glam_node.node.db.changes import insert_missing, mark_changed
from glam_node.node.db.instances import as_instance
from glam_node.node.db.tables import ConflictRow, InstanceRow, StudyRow
from glam_node.node.domain.conflict import CONTENT, GRAVE, Conflict, Doubt, describe_differences
from glam_node.node.domain.eligibility import RULES_WITHOUT_NOTICE
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.study import Standing, StudyState

_IS_LEFT_OUT = and_(
    StudyRow.rule.in_(RULES_WITHOUT_NOTICE),
    StudyRow.state == StudyState.INELIGIBLE,
    StudyRow.standing != Standing.SET_ASIDE,
)


def add(session: Session, conflict: Conflict) -> None:
    """Record the conflict, unless the same bytes were recorded before; an earlier decision about them is kept."""
    newer = conflict.newer
    if session.get(ConflictRow, newer.path) is not None:
        return
    mark_changed(session, [conflict.known_study_instance_uid])
    row = {
        "path": newer.path,
        "sop_instance_uid": newer.sop_instance_uid,
        "study_instance_uid": conflict.known_study_instance_uid,
        "received_at": newer.received_at,
        "differs": list(conflict.differs),
        "instance": {**asdict(newer), "received_at": newer.received_at.isoformat()},
        "study": asdict(conflict.study),
        "settled_at": None,
    }
    insert_missing(session, ConflictRow, [row])


def open_of_study(session: Session, study_instance_uid: str) -> list[Conflict]:
    """Return the undecided conflicts of the study, the oldest first."""
    query = (
        select(ConflictRow)
        .where(ConflictRow.study_instance_uid == study_instance_uid, ConflictRow.settled_at.is_(None))
        .order_by(ConflictRow.received_at, ConflictRow.path)
    )
    return [_conflict(row) for row in session.scalars(query)]


def in_doubt(session: Session) -> list[Doubt]:
    """Return the studies of patients with images that a person must decide about, the most serious doubt first.

    These are studies that are left out because of two patients or studies, unless they are set aside, and studies with
    undecided conflicts.
    """
    left_out = select(StudyRow.study_instance_uid, StudyRow.rule, StudyRow.reason).where(_IS_LEFT_OUT)
    left_out = left_out.where(canary.of_patients(StudyRow.study_instance_uid))
    found = [Doubt(uid, (rule,), reason) for uid, rule, reason in session.execute(left_out)]
    query = select(ConflictRow.study_instance_uid, ConflictRow.differs).where(ConflictRow.settled_at.is_(None))
    query = query.where(canary.of_patients(ConflictRow.study_instance_uid))
    newer: dict[str, set[str]] = {}
    for uid, differs in session.execute(query):
        newer.setdefault(uid, set()).update(differs)
    for uid, differing in newer.items():
        kinds = tuple(one for one in (*GRAVE, CONTENT) if one in differing and (one != CONTENT or len(differing) == 1))
        found.append(Doubt(uid, kinds, describe_differences(kinds)))
    order = (*sorted(RULES_WITHOUT_NOTICE), *GRAVE, CONTENT)
    return sorted(found, key=lambda one: (order.index(one.kinds[0]), one.study_instance_uid))


def needs_a_person() -> ColumnElement[bool]:
    """Return the condition that `in_doubt` returns the study."""
    study = ConflictRow.study_instance_uid == StudyRow.study_instance_uid
    return or_(_IS_LEFT_OUT, exists().where(study, ConflictRow.settled_at.is_(None)))


def kept_for_decision(session: Session) -> set[str]:
    """Return the paths of newer versions that retention keeps until a person decides.

    These make the doubt a serious one, and their study is not set aside.
    """
    query = select(ConflictRow.path, ConflictRow.differs).join(
        StudyRow, StudyRow.study_instance_uid == ConflictRow.study_instance_uid
    )
    waiting = query.where(ConflictRow.settled_at.is_(None), StudyRow.standing != Standing.SET_ASIDE)
    return {path for path, differs in session.execute(waiting) if CONTENT not in differs}


def count_in_doubt(session: Session) -> dict[str, int]:
    """Return the number of studies in doubt by their most serious kind of doubt, including kinds without studies."""
    counts = Counter(doubt.kinds[0] for doubt in in_doubt(session))
    return {kind: counts[kind] for kind in (*sorted(RULES_WITHOUT_NOTICE), *GRAVE, CONTENT)}


def settle(session: Session, sop_instance_uids: Collection[str], now: datetime) -> None:
    """Mark all conflicts of these instances as decided."""
    waits = ConflictRow.sop_instance_uid.in_(sop_instance_uids) & ConflictRow.settled_at.is_(None)
    session.execute(update(ConflictRow).where(waits).values(settled_at=now))


def take(session: Session, conflict: Conflict, path: str) -> None:
    """Record the newer version, whose file is now at `path`, in place of the known one, and delete the conflict."""
    newer = replace(conflict.newer, path=path)
    values = asdict(newer)
    session.execute(
        update(InstanceRow).where(InstanceRow.sop_instance_uid == values.pop("sop_instance_uid")).values(values)
    )
    session.execute(
        update(StudyRow).where(StudyRow.study_instance_uid == newer.study_instance_uid).values(asdict(conflict.study))
    )
    session.execute(delete(ConflictRow).where(ConflictRow.path == conflict.newer.path))


def delete_at(session: Session, path: str) -> None:
    """Delete the conflict whose file was at `path`."""
    is_open = (ConflictRow.path == path) & ConflictRow.settled_at.is_(None)
    mark_changed(session, select(ConflictRow.study_instance_uid).where(is_open))
    session.execute(delete(ConflictRow).where(ConflictRow.path == path))


def _conflict(row: ConflictRow) -> Conflict:
    stored: dict[str, Any] = dict(row.instance)
    instance = InstanceRow(**{**stored, "received_at": row.received_at})
    return Conflict(as_instance(instance), StudyAttributes(**row.study), row.study_instance_uid, tuple(row.differs))
