"""Result objects on their way to destinations."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from glam_node.node.db import standing
from glam_node.node.db.changes import change, claim
from glam_node.node.db.tables import DeliveryRow, JobRow
from glam_node.node.db.upsert import insert_missing
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.job import JobState


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
    """How many deliveries each destination has in each state that has any, those of studies set aside left out."""
    counted = standing.tally(session, [DeliveryRow.state, DeliveryRow.destination], DeliveryRow.study_instance_uid)
    return {(destination, DeliveryState(state)): count for (state, destination), count in counted.items()}


def claim_due(session: Session, destination: str, *, now: datetime, until: datetime, limit: int) -> list[Delivery]:
    """Up to `limit` that are due, or one that goes alone: this sender's until `until`, one attempt counted."""
    due = and_(
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.destination == destination,
        DeliveryRow.next_attempt_at <= now,
        standing.goes_on(DeliveryRow.study_instance_uid),
    )
    order = (DeliveryRow.created_at, DeliveryRow.sop_class_uid, DeliveryRow.delivery_id)
    values = {"attempt": DeliveryRow.attempt + 1, "next_attempt_at": until}
    together = and_(due, DeliveryRow.alone.is_(False))
    claimed = claim(session, DeliveryRow, DeliveryRow.delivery_id, together, order, limit, **values)
    return _sorted(claimed or claim(session, DeliveryRow, DeliveryRow.delivery_id, due, order, 1, **values))


def hold(session: Session, deliveries: Sequence[Delivery], until: datetime) -> None:
    """The claim on those that are still being sent lasts until then."""
    for delivery in deliveries:
        change(session, DeliveryRow, _claimed(delivery), next_attempt_at=until)


def mark_stored(session: Session, delivery: Delivery, now: datetime, warning: str = "") -> bool:
    """The destination has it, whoever sent it; False when that was known before."""
    there = (DeliveryState.STORED, DeliveryState.COMMITTED)
    pending = and_(DeliveryRow.delivery_id == delivery.delivery_id, DeliveryRow.state.not_in(there))
    values = {"stored_at": now, "next_attempt_at": now, "failure": "", "warning": warning, "alone": False}
    return bool(change(session, DeliveryRow, pending, state=DeliveryState.STORED, **values))


def postpone(
    session: Session, delivery: Delivery, next_attempt_at: datetime, failure: str, *, alone: bool = False
) -> bool:
    """It is tried again then, by itself where that is asked for; False when another sender has it."""
    values = {"next_attempt_at": next_attempt_at, "failure": failure, "alone": alone}
    return bool(change(session, DeliveryRow, _claimed(delivery), **values))


def give_back(session: Session, delivery: Delivery, now: datetime) -> None:
    """It was never sent: it is due, and the attempt does not count."""
    change(session, DeliveryRow, _claimed(delivery), attempt=delivery.attempt - 1, next_attempt_at=now)


def make_due(session: Session, destination: str, now: datetime, *, later_than: datetime, failed_at_most: int) -> int:
    """How many deliveries are due now that waited for an attempt after `later_than` and failed no more often."""
    waiting = and_(
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.destination == destination,
        DeliveryRow.next_attempt_at > later_than,
        DeliveryRow.attempt <= failed_at_most,
    )
    return len(change(session, DeliveryRow, waiting, next_attempt_at=now, alone=False))


def abandon(session: Session, delivery: Delivery, failure: str) -> bool:
    """It is not tried again until a person acts; False when another sender has it by now."""
    return bool(change(session, DeliveryRow, _claimed(delivery), state=DeliveryState.ABANDONED, failure=failure))


def replace(session: Session, delivery: Delivery, failure: str, sop_class_uid: str, now: datetime) -> int:
    """How many objects of `sop_class_uid`, of the same job, go out in its place now; with none nothing is changed.

    Objects for which others stand in themselves do not count: two kinds that stand in for each other would go nowhere.
    """
    standby = and_(
        DeliveryRow.job_id == delivery.job_id,
        DeliveryRow.destination == delivery.destination,
        DeliveryRow.sop_class_uid == sop_class_uid,
    )
    waiting = and_(standby, DeliveryRow.state == DeliveryState.STANDBY)
    change(session, DeliveryRow, waiting, state=DeliveryState.PENDING, next_attempt_at=now)
    goes = and_(standby, DeliveryRow.state != DeliveryState.REPLACED, DeliveryRow.delivery_id != delivery.delivery_id)
    there = len(session.scalars(select(DeliveryRow.delivery_id).where(goes)).all())
    if there:
        change(session, DeliveryRow, _claimed(delivery), state=DeliveryState.REPLACED, failure=failure)
    return there


def withhold(session: Session, destination: str) -> list[Delivery]:
    """What waited for the destination does not go out any more."""
    waiting = and_(DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.destination == destination)
    return _sorted(change(session, DeliveryRow, waiting, state=DeliveryState.WITHHELD))


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
    """How many deliveries that wait, `given_up` or `held_back` ones too, are due now and begin anew."""
    waits = DeliveryRow.next_attempt_at > later_than
    waiting = or_(waits, DeliveryRow.next_attempt_at <= now) if held_back else waits
    meant = and_(DeliveryRow.state == DeliveryState.PENDING, waiting)
    condition = and_(
        DeliveryRow.destination == destination,
        or_(DeliveryRow.state == DeliveryState.ABANDONED, meant) if given_up else meant,
        *([DeliveryRow.study_instance_uid == study_instance_uid] if study_instance_uid else []),
    )
    values = {"attempt": 0, "next_attempt_at": now, "alone": False}
    return len(change(session, DeliveryRow, condition, state=DeliveryState.PENDING, **values))


def resend(
    session: Session, study_instance_uid: str, destination: str, states: Collection[DeliveryState], now: datetime
) -> int:
    """How many of the study's results in these states are due now at the destination, as if never sent."""
    chosen = and_(
        DeliveryRow.study_instance_uid == study_instance_uid,
        DeliveryRow.destination == destination,
        DeliveryRow.state.in_(states),
        # Results of images that were replaced may name another patient.
        DeliveryRow.job_id.not_in(select(JobRow.job_id).where(JobRow.state == JobState.SUPERSEDED)),
    )
    values = {"attempt": 0, "next_attempt_at": now, "transaction_count": 0}
    values |= dict.fromkeys(("transaction_uid", "failure", "warning"), "")
    return len(change(session, DeliveryRow, chosen, state=DeliveryState.PENDING, **values))


def stop_unsent(session: Session, study_instance_uid: str, becomes: DeliveryState, failure: str) -> int:
    """Return how many results, waiting or given up, never go out from here on: they are in that state instead."""
    unsent = {DeliveryState.PENDING, DeliveryState.STANDBY, DeliveryState.ABANDONED} - {becomes}
    stopped = and_(DeliveryRow.study_instance_uid == study_instance_uid, DeliveryRow.state.in_(unsent))
    return len(change(session, DeliveryRow, stopped, state=becomes, failure=failure))


def ask_for(
    session: Session, destination: str, transaction_uid: str, *, now: datetime, until: datetime, limit: int
) -> list[Delivery]:
    """Up to `limit` stored objects that are in no request, the oldest first: they are in this one, until then."""
    due = and_(
        DeliveryRow.state == DeliveryState.STORED,
        DeliveryRow.destination == destination,
        DeliveryRow.transaction_uid == "",
        DeliveryRow.next_attempt_at <= now,
    )
    values = {
        "transaction_uid": transaction_uid,
        "transaction_count": DeliveryRow.transaction_count + 1,
        "next_attempt_at": until,
    }
    order = (DeliveryRow.stored_at,)
    return _sorted(claim(session, DeliveryRow, DeliveryRow.delivery_id, due, order, limit, **values))


def unask(session: Session, transaction_uid: str, next_attempt_at: datetime, failure: str) -> None:
    """The archive never had that request: its objects are in none, until then."""
    condition = and_(DeliveryRow.transaction_uid == transaction_uid, DeliveryRow.state == DeliveryState.STORED)
    change(
        session,
        DeliveryRow,
        condition,
        transaction_uid="",
        transaction_count=DeliveryRow.transaction_count - 1,
        next_attempt_at=next_attempt_at,
        failure=failure,
    )


def of_transaction(session: Session, transaction_uid: str) -> list[Delivery]:
    """The objects of a request."""
    query = select(DeliveryRow).where(DeliveryRow.transaction_uid == transaction_uid, DeliveryRow.transaction_uid != "")
    return _sorted(session.scalars(query.execution_options(populate_existing=True)).all())


def overdue(session: Session, destination: str, now: datetime) -> list[Delivery]:
    """Objects in a request that was not answered by now."""
    query = select(DeliveryRow).where(
        DeliveryRow.state == DeliveryState.STORED,
        DeliveryRow.destination == destination,
        DeliveryRow.transaction_uid != "",
        DeliveryRow.next_attempt_at <= now,
    )
    return _sorted(session.scalars(query.execution_options(populate_existing=True)).all())


def mark_committed(session: Session, delivery: Delivery) -> None:
    """The destination has taken responsibility."""
    change(session, DeliveryRow, _in_request(delivery), state=DeliveryState.COMMITTED, failure="")


def send_again(session: Session, delivery: Delivery, now: datetime, failure: str) -> None:
    """It goes out once more, and into another request after that."""
    change(
        session,
        DeliveryRow,
        _in_request(delivery),
        state=DeliveryState.PENDING,
        transaction_uid="",
        next_attempt_at=now,
        failure=failure,
    )


def set_aside(session: Session, delivery: Delivery, failure: str) -> None:
    """The destination does not take responsibility, however often it is asked; a person acts."""
    change(
        session,
        DeliveryRow,
        _in_request(delivery),
        state=DeliveryState.ABANDONED,
        transaction_uid="",
        transaction_count=0,
        failure=failure,
    )


def _in_request(delivery: Delivery) -> ColumnElement[bool]:
    return and_(
        DeliveryRow.delivery_id == delivery.delivery_id,
        DeliveryRow.state == DeliveryState.STORED,
        DeliveryRow.transaction_uid == delivery.transaction_uid,
    )


def _claimed(delivery: Delivery) -> ColumnElement[bool]:
    """By this attempt."""
    return and_(
        DeliveryRow.delivery_id == delivery.delivery_id,
        DeliveryRow.state == DeliveryState.PENDING,
        DeliveryRow.attempt == delivery.attempt,
    )


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
        transaction_count=row.transaction_count,
        warning=row.warning,
        alone=row.alone,
    )
