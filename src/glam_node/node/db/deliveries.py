"""Deliveries of result objects, claimed by one sender at a time."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, literal, or_, select
from sqlalchemy.orm import Session

from glam_node.node.db import standing
from glam_node.node.db.changes import change, claim, insert_missing, lock, mark_changed
from glam_node.node.db.tables import DeliveryRow, JobRow
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.job import JobState, Priority


def add_missing(session: Session, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Queue each object for its destination unless it is queued already, and return the deliveries that are new.

    If a superseded job queued the object, for example because its image was not replaced, it moves to the new job.
    """
    for uid in {delivery.study_instance_uid for delivery in deliveries}:
        jobs = select(JobRow.job_id).where(JobRow.study_instance_uid == uid, JobRow.state == JobState.SUPERSEDED)
        superseded = session.scalars(jobs).all()
        lock(session, DeliveryRow.delivery_id, DeliveryRow.job_id.in_(superseded))
        for delivery in deliveries if superseded else ():
            _take_over(session, delivery, superseded)
    insert_missing(session, DeliveryRow, [asdict(delivery) for delivery in deliveries])
    query = select(DeliveryRow.delivery_id).where(
        DeliveryRow.delivery_id.in_([delivery.delivery_id for delivery in deliveries])
    )
    added = set(session.scalars(query))
    return [delivery for delivery in deliveries if delivery.delivery_id in added]


def _take_over(session: Session, delivery: Delivery, superseded: Collection[str]) -> None:
    """Assign a superseded delivery of the same object to the job of `delivery`; send it if it was withheld."""
    same = and_(
        DeliveryRow.destination == delivery.destination,
        DeliveryRow.sop_instance_uid == delivery.sop_instance_uid,
        DeliveryRow.job_id.in_(superseded),
    )
    withheld = and_(same, DeliveryRow.state == DeliveryState.WITHHELD)
    due: dict[str, Any] = {"attempt": 0, "next_attempt_at": delivery.next_attempt_at, "failure": "", "alone": False}
    due |= {"waiting_since": delivery.created_at, "transaction_count": 0}
    change(session, DeliveryRow, withheld, state=delivery.state, **due)
    change(session, DeliveryRow, same, job_id=delivery.job_id)


def of_study(session: Session, study_instance_uid: str) -> list[Delivery]:
    """Return all deliveries of one study, the oldest first."""
    query = select(DeliveryRow).where(DeliveryRow.study_instance_uid == study_instance_uid)
    return as_deliveries(session.scalars(query.execution_options(populate_existing=True)).all())


def counts(session: Session) -> dict[tuple[str, DeliveryState], int]:
    """Return the number of deliveries by destination and state, without those of studies that are set aside."""
    counted = standing.count_rows(session, [DeliveryRow.state, DeliveryRow.destination], DeliveryRow.study_instance_uid)
    return {(destination, DeliveryState(state)): count for (state, destination), count in counted.items()}


def destinations_due(session: Session, names: Collection[str], now: datetime) -> list[str]:
    """Return those of the destinations to which a delivery is due."""
    return list(
        session.scalars(select(DeliveryRow.destination).where(_due(now), DeliveryRow.destination.in_(names)).distinct())
    )


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.next_attempt_at <= now,
        standing.may_proceed(DeliveryRow.study_instance_uid),
    )


def claim_due(session: Session, destination: str, *, now: datetime, until: datetime, limit: int) -> list[Delivery]:
    """Claim up to `limit` due deliveries until the time `until`, count the attempt and return them.

    If only deliveries that must be sent alone are due, one of them is claimed.
    """
    due = and_(_due(now), DeliveryRow.destination == destination)
    order = (DeliveryRow.priority, DeliveryRow.created_at, DeliveryRow.sop_class_uid, DeliveryRow.delivery_id)
    values = {"attempt": DeliveryRow.attempt + 1, "next_attempt_at": until}
    together = and_(due, DeliveryRow.alone.is_(False))
    claimed = claim(session, DeliveryRow, DeliveryRow.delivery_id, together, order, limit, **values)
    return as_deliveries(claimed or claim(session, DeliveryRow, DeliveryRow.delivery_id, due, order, 1, **values))


def extend_claims(session: Session, deliveries: Sequence[Delivery], until: datetime) -> None:
    """Extend the claim on deliveries that are still being sent to `until`."""
    for delivery in sorted(deliveries, key=lambda one: one.delivery_id):
        change(session, DeliveryRow, _claimed(delivery), next_attempt_at=until)


def lock_with_substitutes(session: Session, deliveries: Sequence[Delivery]) -> None:
    """Lock the deliveries until the transaction ends, with all others of their jobs that may replace them."""
    of_jobs = and_(
        DeliveryRow.destination.in_({one.destination for one in deliveries}),
        DeliveryRow.job_id.in_({one.job_id for one in deliveries}),
    )
    these = DeliveryRow.delivery_id.in_([one.delivery_id for one in deliveries])
    lock(session, DeliveryRow.delivery_id, or_(of_jobs, these))


def mark_stored(session: Session, delivery: Delivery, now: datetime, warning: str = "") -> bool:
    """Record that the destination stored the object; return False if that was recorded before."""
    known = (DeliveryState.STORED, DeliveryState.COMMITTED)
    not_stored = and_(DeliveryRow.delivery_id == delivery.delivery_id, DeliveryRow.state.not_in(known))
    values = {"stored_at": now, "next_attempt_at": now, "failure": "", "warning": warning, "alone": False}
    return bool(change(session, DeliveryRow, not_stored, state=DeliveryState.STORED, **values))


def postpone(
    session: Session, delivery: Delivery, next_attempt_at: datetime, failure: str, *, alone: bool = False
) -> bool:
    """Record a failed attempt and the time of the next; return False if another sender has claimed the delivery."""
    values = {"next_attempt_at": next_attempt_at, "failure": failure, "alone": alone}
    return bool(change(session, DeliveryRow, _claimed(delivery), **values))


def give_back(session: Session, delivery: Delivery, now: datetime) -> None:
    """Make a claimed delivery that was not sent due again, without counting the attempt."""
    change(session, DeliveryRow, _claimed(delivery), attempt=delivery.attempt - 1, next_attempt_at=now)


def make_due(
    session: Session,
    destination: str,
    now: datetime,
    sent: Sequence[Delivery],
    *,
    later_than: datetime,
    failed_at_most: int,
) -> int:
    """Make pending deliveries due whose next attempt is after `later_than`, and return their number.

    The deliveries `sent`, and those with more than `failed_at_most` attempts, keep waiting.
    """
    waiting = and_(
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.destination == destination,
        DeliveryRow.next_attempt_at > later_than,
        DeliveryRow.attempt <= failed_at_most,
        DeliveryRow.delivery_id.not_in([one.delivery_id for one in sent]),
    )
    return len(change(session, DeliveryRow, waiting, next_attempt_at=now, alone=False))


def abandon(session: Session, delivery: Delivery, failure: str) -> bool:
    """Give up the delivery until a person acts; return False if another sender has claimed it."""
    mark_changed(session, [delivery.study_instance_uid])
    return bool(change(session, DeliveryRow, _claimed(delivery), state=DeliveryState.ABANDONED, failure=failure))


def replace(session: Session, delivery: Delivery, failure: str, sop_class_uid: str, now: datetime) -> int:
    """Send the job's objects of `sop_class_uid` in place of a refused one, and return their number.

    If the job has no such object, nothing changes. An object that was itself replaced does not count: otherwise two SOP
    classes that are substitutes for each other would replace each other, and neither would be sent.
    """
    substitute = and_(
        DeliveryRow.job_id == delivery.job_id,
        DeliveryRow.destination == delivery.destination,
        DeliveryRow.sop_class_uid == sop_class_uid,
    )
    waiting = and_(substitute, DeliveryRow.state == DeliveryState.STANDBY)
    change(session, DeliveryRow, waiting, state=DeliveryState.PENDING, next_attempt_at=now, waiting_since=now)
    is_another = DeliveryRow.delivery_id != delivery.delivery_id
    sendable = and_(substitute, is_another, DeliveryRow.state != DeliveryState.REPLACED)
    count = len(session.scalars(select(DeliveryRow.delivery_id).where(sendable)).all())
    if count:
        change(session, DeliveryRow, _claimed(delivery), state=DeliveryState.REPLACED, failure=failure)
    return count


def withhold(session: Session, destination: str) -> list[Delivery]:
    """Withhold all pending deliveries of the destination, and return them."""
    waiting = and_(DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.destination == destination)
    return as_deliveries(change(session, DeliveryRow, waiting, state=DeliveryState.WITHHELD))


def retry(
    session: Session,
    destination: str,
    *,
    now: datetime,
    later_than: datetime,
    study_instance_uid: str = "",
    given_up: bool = False,
    held_back: bool = False,
) -> int:
    """Make deliveries due, set their number of attempts to zero, and return how many there were.

    These are the pending deliveries whose next attempt is after `later_than`. `held_back` includes those that are
    already due, and `given_up` those that were abandoned.
    """
    waits = DeliveryRow.next_attempt_at > later_than
    waiting = or_(waits, DeliveryRow.next_attempt_at <= now) if held_back else waits
    meant = and_(DeliveryRow.state == DeliveryState.PENDING, waiting)
    condition = and_(
        DeliveryRow.destination == destination,
        or_(DeliveryRow.state == DeliveryState.ABANDONED, meant) if given_up else meant,
        *([DeliveryRow.study_instance_uid == study_instance_uid] if study_instance_uid else []),
    )
    given_up_now = literal(now, DeliveryRow.waiting_since.type)
    since = case((DeliveryRow.state == DeliveryState.ABANDONED, given_up_now), else_=DeliveryRow.waiting_since)
    values = {"attempt": 0, "next_attempt_at": now, "alone": False, "waiting_since": since}
    return len(change(session, DeliveryRow, condition, state=DeliveryState.PENDING, **values))


def resend(
    session: Session, study_instance_uid: str, destination: str, states: Collection[DeliveryState], now: datetime
) -> int:
    """Make the study's deliveries in these states due again, as if they had never been sent; return their number."""
    chosen = and_(
        DeliveryRow.study_instance_uid == study_instance_uid,
        DeliveryRow.destination == destination,
        DeliveryRow.state.in_(states),
        # Results of images that were replaced may name another patient. Results of a rule in shadow are never sent.
        DeliveryRow.job_id.not_in(
            select(JobRow.job_id).where(or_(JobRow.state == JobState.SUPERSEDED, JobRow.shadow.is_(True)))
        ),
    )
    values = {"attempt": 0, "next_attempt_at": now, "transaction_count": 0, "waiting_since": now}
    values |= dict.fromkeys(("transaction_uid", "failure", "warning"), "")
    return len(change(session, DeliveryRow, chosen, state=DeliveryState.PENDING, **values))


def stop_unsent(session: Session, study_instance_uid: str, becomes: DeliveryState, failure: str) -> int:
    """Move the study's deliveries that are not stored to the state `becomes`, and return their number."""
    unsent = {DeliveryState.PENDING, DeliveryState.STANDBY, DeliveryState.ABANDONED} - {becomes}
    stopped = and_(DeliveryRow.study_instance_uid == study_instance_uid, DeliveryRow.state.in_(unsent))
    return len(change(session, DeliveryRow, stopped, state=becomes, failure=failure))


def _claimed(delivery: Delivery) -> ColumnElement[bool]:
    """Return the condition that no other attempt has claimed the delivery since this one."""
    return and_(
        DeliveryRow.delivery_id == delivery.delivery_id,
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.attempt == delivery.attempt,
    )


def as_deliveries(rows: Sequence[DeliveryRow]) -> list[Delivery]:
    """Return the deliveries of the rows, sorted by priority, by age and then by SOP class.

    So segmentations (...1.1.66.4) precede the reports (...1.1.88.x) that refer to them.
    """
    return [
        _delivery(row)
        for row in sorted(rows, key=lambda row: (row.priority, row.created_at, row.sop_class_uid, row.delivery_id))
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
        transaction_count=row.transaction_count,
        warning=row.warning,
        priority=Priority(row.priority),
        alone=row.alone,
    )
