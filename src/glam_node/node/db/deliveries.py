"""Result objects on their way to destinations."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.tables import DeliveryRow
from glam_node.node.db.upsert import insert_missing
from glam_node.node.domain.delivery import Delivery, DeliveryState


def add_missing(session: Session, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Every object is queued for its destination once, however often it is published; returns what is new."""
    insert_missing(session, DeliveryRow, [asdict(delivery) for delivery in deliveries])
    query = select(DeliveryRow.delivery_id).where(
        DeliveryRow.delivery_id.in_([delivery.delivery_id for delivery in deliveries])
    )
    added = set(session.scalars(query))
    return [delivery for delivery in deliveries if delivery.delivery_id in added]


def of_study(session: Session, study_instance_uid: str) -> list[Delivery]:
    """All deliveries of one study, the oldest first."""
    query = select(DeliveryRow).where(DeliveryRow.study_instance_uid == study_instance_uid)
    return _sorted(session.scalars(query.execution_options(populate_existing=True)).all())


def counts(session: Session) -> dict[tuple[str, DeliveryState], int]:
    """How many deliveries each destination has in each state that has any."""
    query = select(DeliveryRow.destination, DeliveryRow.state, func.count()).group_by(
        DeliveryRow.destination, DeliveryRow.state
    )
    return {(destination, DeliveryState(state)): count for destination, state, count in session.execute(query)}


def claim_due(session: Session, destination: str, *, now: datetime, until: datetime, limit: int) -> list[Delivery]:
    """Up to `limit` deliveries that are due, oldest first: this sender's alone until `until`, one attempt counted."""
    due = and_(
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.destination == destination,
        DeliveryRow.next_attempt_at <= now,
    )
    oldest = (
        select(DeliveryRow.delivery_id)
        .where(due)
        .order_by(DeliveryRow.created_at, DeliveryRow.sop_class_uid, DeliveryRow.delivery_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    mine = and_(DeliveryRow.delivery_id.in_(oldest), due)
    return _sorted(_change(session, mine, attempt=DeliveryRow.attempt + 1, next_attempt_at=until))


def hold(session: Session, deliveries: Sequence[Delivery], until: datetime) -> None:
    """The claim on those that are still being sent lasts until then."""
    for delivery in deliveries:
        _change(session, _claimed(delivery), next_attempt_at=until)


def mark_stored(session: Session, delivery: Delivery, now: datetime) -> bool:
    """The destination has it, whoever sent it; False when that was known before."""
    pending = and_(DeliveryRow.delivery_id == delivery.delivery_id, DeliveryRow.state != DeliveryState.STORED)
    return bool(_change(session, pending, state=DeliveryState.STORED, stored_at=now, failure=""))


def postpone(session: Session, delivery: Delivery, next_attempt_at: datetime, failure: str) -> bool:
    """It is tried again then; False when another sender has it by now."""
    return bool(_change(session, _claimed(delivery), next_attempt_at=next_attempt_at, failure=failure))


def abandon(session: Session, delivery: Delivery, failure: str) -> bool:
    """It is not tried again until a person acts; False when another sender has it by now."""
    return bool(_change(session, _claimed(delivery), state=DeliveryState.ABANDONED, failure=failure))


def replace(session: Session, delivery: Delivery, failure: str, sop_class_uid: str, now: datetime) -> int:
    """How many objects of `sop_class_uid`, of the same job, go out in its place now; with none nothing is changed."""
    standby = and_(
        DeliveryRow.job_id == delivery.job_id,
        DeliveryRow.destination == delivery.destination,
        DeliveryRow.sop_class_uid == sop_class_uid,
    )
    waiting = and_(standby, DeliveryRow.state == DeliveryState.STANDBY)
    _change(session, waiting, state=DeliveryState.PENDING, next_attempt_at=now)
    there = len(session.scalars(select(DeliveryRow.delivery_id).where(standby)).all())
    if there:
        _change(session, _claimed(delivery), state=DeliveryState.REPLACED, failure=failure)
    return there


def retry(session: Session, study_instance_uid: str, *, now: datetime, later_than: datetime) -> int:
    """How many of the study's deliveries, abandoned or waiting for an attempt after `later_than`, are due now."""
    waiting = and_(DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.next_attempt_at > later_than)
    condition = and_(
        DeliveryRow.study_instance_uid == study_instance_uid,
        or_(DeliveryRow.state == DeliveryState.ABANDONED, waiting),
    )
    return len(_change(session, condition, state=DeliveryState.PENDING, attempt=0, next_attempt_at=now))


def _claimed(delivery: Delivery) -> ColumnElement[bool]:
    """By this attempt."""
    return and_(
        DeliveryRow.delivery_id == delivery.delivery_id,
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.attempt == delivery.attempt,
    )


def _change(session: Session, condition: ColumnElement[bool], **values: Any) -> list[DeliveryRow]:
    """Whatever meets the condition has the values, and is returned."""
    statement = update(DeliveryRow).where(condition).values(values).returning(DeliveryRow)
    options = {"synchronize_session": False, "populate_existing": True}
    return list(session.scalars(statement.execution_options(**options)))


def _sorted(rows: Sequence[DeliveryRow]) -> list[Delivery]:
    """By age, then by SOP class: segmentations (...1.1.66.4) go before the reports (...1.1.88.x) that refer to them."""
    return [
        _delivery(row) for row in sorted(rows, key=lambda row: (row.created_at, row.sop_class_uid, row.delivery_id))
    ]


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        job_id=row.job_id,
        study_instance_uid=row.study_instance_uid,
        destination=row.destination,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        path=row.path,
        state=DeliveryState(row.state),
        attempt=row.attempt,
        next_attempt_at=row.next_attempt_at,
        transaction_uid=row.transaction_uid,
        failure=row.failure,
        created_at=row.created_at,
        stored_at=row.stored_at,
    )
