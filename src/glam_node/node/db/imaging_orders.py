"""Orders that the hospital announces, and the studies that belong to them."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from glam_node.node.db import patient_changes, studies
from glam_node.node.db.changes import insert_missing
from glam_node.node.db.standing import HELD_BY_RULE
from glam_node.node.db.tables import HospitalMessageRow, ImagingOrderRow, PatientMergeRow, StudyRow
from glam_node.node.domain.imaging_order import FetchState, ImagingOrder, OrderMessage, order_key
from glam_node.node.domain.job import Priority
from glam_node.node.domain.patient_change import is_of_patient
from glam_node.node.domain.stated_patient import PatientIdentifier
from glam_node.node.domain.study import Study


def add_message(session: Session, message_digest: str, message_type: str, now: datetime) -> bool:
    """Record that a message was accepted; return False if that was recorded before."""
    if session.get(HospitalMessageRow, message_digest) is not None:
        return False
    row = {"message_digest": message_digest, "message_type": message_type[:16], "received_at": now}
    insert_missing(session, HospitalMessageRow, [row])
    return True


def merge_message(session: Session, message: OrderMessage, now: datetime, **changes: Any) -> ImagingOrder:
    """Add the order of a message, or change it by what the message states, and return it.

    Args:
        session: A session in a transaction.
        message: The message; what it leaves empty stays as it is.
        now: The time.
        **changes: Other columns to set.
    """
    fresh = {
        "order_key": message.key,
        "reference": secrets.token_hex(4),
        "accession_number": message.accession_number,
        "study_instance_uid": message.study_instance_uid,
        "patient_id": message.patient.value,
        "assigning_authority": message.patient.authority,
        "universal_id": message.patient.universal_id,
        "priority": None,
        "reason": "",
        "scheduled_at": None,
        "read_at": None,
        "cancelled": False,
        "fetch_state": FetchState.NONE,
        "attempt": 0,
        "next_attempt_at": None,
        "fetch_until": None,
        "instances": 0,
        "failure": "",
        "changed_at": now,
    }
    insert_missing(session, ImagingOrderRow, [fresh])
    row = session.get_one(ImagingOrderRow, message.key, with_for_update=True, populate_existing=True)
    stated = {
        "study_instance_uid": message.study_instance_uid or row.study_instance_uid,
        "priority": row.priority if message.priority is None else int(message.priority),
        "reason": message.reason or row.reason,
        "scheduled_at": message.scheduled_at or row.scheduled_at,
        "changed_at": now,
    }
    for name, value in {**stated, **changes}.items():
        setattr(row, name, value)
    session.flush()
    return _order(row)


def get(session: Session, message: OrderMessage, authority: str = "") -> ImagingOrder | None:
    """Return the order of a message, locked until the transaction ends; None if there is none.

    An order that was recorded under the key without an assigning authority gets the key with it, if it is of the same
    authority: the one that it states, or else `authority`.
    """
    row = session.get(ImagingOrderRow, message.key, with_for_update=True, populate_existing=True)
    if row is None and message.patient.is_named:
        number, value = message.accession_number or message.study_instance_uid, message.patient.value
        unnamed = order_key(number, PatientIdentifier(value))
        row = session.get(ImagingOrderRow, unnamed, with_for_update=True, populate_existing=True)
        if row is None or not _patient(row).named(authority).is_surely(message.patient):
            return None
        _set_patient(row, message.patient)
        session.flush()
    return None if row is None else _order(row)


def of_study(session: Session, study: Study, authority: str) -> list[ImagingOrder]:
    """Return the orders of a study: they state its UID, or its Accession Number, and its patient.

    Args:
        session: A session.
        study: The study.
        authority: The assigning authority of Patient IDs that state none; empty if it is not known.
    """
    attributes = study.attributes
    same = [ImagingOrderRow.study_instance_uid == study.study_instance_uid]
    if attributes.accession_number:
        unknown = ImagingOrderRow.study_instance_uid.in_(("", study.study_instance_uid))
        same.append(and_(ImagingOrderRow.accession_number == attributes.accession_number, unknown))
    rows = session.scalars(select(ImagingOrderRow).where(or_(*same)).order_by(ImagingOrderRow.changed_at))
    return [_order(row) for row in rows if _is_of_patient(session, _patient(row), study, authority)]


def _is_of_patient(session: Session, patient: PatientIdentifier, study: Study, authority: str) -> bool:
    """Return whether the patient of an order is that of a study, perhaps under an ID that survived a merge."""
    if is_of_patient(patient, study, authority):
        return True
    merges = patient_changes.merges_of(session, study.attributes.patient_id)
    survivors = [one for one in merges if one.is_sure and is_of_patient(one.prior, study, authority)]
    return any(one.surviving.identifiers[0].is_surely(patient.named(authority)) for one in survivors)


def studies_of(session: Session, order: ImagingOrder, authority: str) -> list[str]:
    """Return the UIDs of the recorded studies of an order, in order of their keys."""
    same: ColumnElement[bool] = StudyRow.study_instance_uid == order.study_instance_uid
    if not order.study_instance_uid:
        same = StudyRow.accession_number == order.accession_number
    uids = session.scalars(select(StudyRow.study_instance_uid).where(same).order_by(StudyRow.study_instance_uid))
    found = studies.get_many(session, uids.all())
    return [one.study_instance_uid for one in found if _is_of_patient(session, order.patient, one, authority)]


def priority_of(session: Session, study: Study, authority: str) -> Priority | None:
    """Return the most urgent priority among the orders of a study; None if they state none."""
    orders = [one for one in of_study(session, study, authority) if not one.cancelled]
    return min((one.priority for one in orders if one.priority is not None), default=None)


def first_read_at(session: Session, study: Study, authority: str) -> datetime | None:
    """Return when a message said that the first read of a study is done; None if none has."""
    orders = of_study(session, study, authority)
    return max((one.read_at for one in orders if one.read_at is not None), default=None)


def read_and_held(session: Session) -> list[str]:
    """Return the UIDs of the studies that a rule holds and that may have an order whose first read is done."""
    by_number = and_(ImagingOrderRow.accession_number == StudyRow.accession_number, StudyRow.accession_number != "")
    same = or_(ImagingOrderRow.study_instance_uid == StudyRow.study_instance_uid, by_number)
    read = exists().where(same, ImagingOrderRow.read_at.is_not(None))
    held = select(StudyRow.study_instance_uid).where(text(HELD_BY_RULE), read)
    return list(session.scalars(held.order_by(StudyRow.study_instance_uid)))


def to_fetch(session: Session, now: datetime) -> ImagingOrder | None:
    """Return the order whose study is to be looked for first; None if none is due."""
    due = and_(ImagingOrderRow.fetch_state == FetchState.WAITING, ImagingOrderRow.next_attempt_at <= now)
    query = select(ImagingOrderRow).where(due).order_by(ImagingOrderRow.next_attempt_at).limit(1)
    row = session.scalars(query).first()
    return None if row is None else _order(row)


def claim_fetch(session: Session, order: ImagingOrder, until: datetime) -> bool:
    """Reserve the next look for an order until that time; return False if another process has done so, or it ended."""
    same = and_(ImagingOrderRow.order_key == order.order_key, ImagingOrderRow.fetch_state == FetchState.WAITING)
    statement = update(ImagingOrderRow).where(same, ImagingOrderRow.attempt == order.attempt)
    claimed = statement.values(attempt=order.attempt + 1, next_attempt_at=until)
    return bool(session.connection().execute(claimed).rowcount)


def record_fetch(session: Session, order: ImagingOrder, **changes: Any) -> bool:
    """Record the outcome of a look for an order; return False if it was withdrawn meanwhile."""
    row = session.get_one(ImagingOrderRow, order.order_key, with_for_update=True, populate_existing=True)
    if row.fetch_state != FetchState.WAITING:
        return False
    for name, value in changes.items():
        setattr(row, name, value)
    return True


def fetches(session: Session, limit: int) -> list[ImagingOrder]:
    """Return orders whose studies are to be fetched or could not be fetched, the next one first."""
    shown = ImagingOrderRow.fetch_state.in_((FetchState.WAITING, FetchState.GIVEN_UP))
    query = select(ImagingOrderRow).where(shown).order_by(ImagingOrderRow.next_attempt_at, ImagingOrderRow.changed_at)
    return [_order(row) for row in session.scalars(query.limit(limit))]


def given_up(session: Session, limit: int) -> list[ImagingOrder]:
    """Return orders whose studies were not fetched in time, the newest first."""
    query = select(ImagingOrderRow).where(ImagingOrderRow.fetch_state == FetchState.GIVEN_UP)
    return [_order(row) for row in session.scalars(query.order_by(ImagingOrderRow.changed_at.desc()).limit(limit))]


def counts(session: Session) -> dict[str, int]:
    """Return the number of orders by the state of fetching; orders whose studies are not fetched count as NOTED."""
    query = select(ImagingOrderRow.fetch_state, func.count()).group_by(ImagingOrderRow.fetch_state)
    return {state or "NOTED": count for state, count in session.execute(query)}


def rename_patient(
    session: Session, prior: PatientIdentifier, surviving: PatientIdentifier, authority: str = ""
) -> None:
    """Give the orders of a Patient ID that was merged the ID that survives.

    An order that the surviving ID has already gets what only the other one states.
    """
    query = select(ImagingOrderRow).where(ImagingOrderRow.patient_id == prior.value)
    for row in session.scalars(query.order_by(ImagingOrderRow.order_key).with_for_update()).all():
        if not _patient(row).named(authority).is_surely(prior):
            continue
        key = order_key(row.accession_number or row.study_instance_uid, surviving)
        kept = session.get(ImagingOrderRow, key, with_for_update=True)
        if kept is None:
            _set_patient(row, surviving)
        elif kept is not row:
            _take_over(kept, row)
            session.delete(row)
        session.flush()


def _take_over(kept: ImagingOrderRow, other: ImagingOrderRow) -> None:
    """Add to an order what only another message about it stated, under an ID that was merged."""
    kept.study_instance_uid = kept.study_instance_uid or other.study_instance_uid
    kept.priority = other.priority if kept.priority is None else kept.priority
    kept.reason = kept.reason or other.reason
    kept.scheduled_at = kept.scheduled_at or other.scheduled_at
    kept.read_at = max((one for one in (kept.read_at, other.read_at) if one is not None), default=None)
    if kept.fetch_state == FetchState.NONE and not kept.cancelled:
        for name in ("cancelled", "fetch_state", "attempt", "next_attempt_at", "fetch_until", "instances", "failure"):
            setattr(kept, name, getattr(other, name))


def _patient(row: ImagingOrderRow) -> PatientIdentifier:
    return PatientIdentifier(row.patient_id, row.assigning_authority, row.universal_id)


def _set_patient(row: ImagingOrderRow, patient: PatientIdentifier) -> None:
    row.order_key = order_key(row.accession_number or row.study_instance_uid, patient)
    row.patient_id, row.assigning_authority, row.universal_id = patient.value, patient.authority, patient.universal_id


def remove_old(session: Session, before: datetime) -> None:
    """Remove messages, orders and merges that are older; orders stay until that long after their scheduled time."""
    session.execute(delete(HospitalMessageRow).where(HospitalMessageRow.received_at < before))
    session.execute(delete(PatientMergeRow).where(PatientMergeRow.at < before - timedelta(days=365)))
    scheduled = or_(ImagingOrderRow.scheduled_at.is_(None), ImagingOrderRow.scheduled_at < before)
    ended = and_(ImagingOrderRow.changed_at < before, ImagingOrderRow.fetch_state != FetchState.WAITING, scheduled)
    session.execute(delete(ImagingOrderRow).where(ended))


def _order(row: ImagingOrderRow) -> ImagingOrder:
    return ImagingOrder(
        order_key=row.order_key,
        reference=row.reference,
        accession_number=row.accession_number,
        study_instance_uid=row.study_instance_uid,
        patient=_patient(row),
        priority=None if row.priority is None else Priority(row.priority),
        reason=row.reason,
        scheduled_at=row.scheduled_at,
        read_at=row.read_at,
        cancelled=row.cancelled,
        fetch_state=FetchState(row.fetch_state),
        attempt=row.attempt,
        next_attempt_at=row.next_attempt_at,
        fetch_until=row.fetch_until,
        instances=row.instances,
        failure=row.failure,
        changed_at=row.changed_at,
    )
