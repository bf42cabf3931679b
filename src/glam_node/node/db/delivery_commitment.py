"""Storage commitment of deliveries: requests to archives to take responsibility for stored objects."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from glam_node.node.db.changes import change, claim, mark_changed
from glam_node.node.db.deliveries import as_deliveries
from glam_node.node.db.tables import DeliveryRow, JobRow
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.job import JobState


def request(
    session: Session, destination: str, transaction_uid: str, *, now: datetime, until: datetime, limit: int
) -> list[Delivery]:
    """Put up to `limit` stored objects that are in no commitment request into a new one, and return them.

    The new request is overdue at `until`.
    """
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
    return as_deliveries(claim(session, DeliveryRow, DeliveryRow.delivery_id, due, order, limit, **values))


def withdraw(session: Session, transaction_uid: str, next_attempt_at: datetime, failure: str) -> None:
    """Take the objects out of a request that the archive did not accept; they wait for another request."""
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


def in_request(session: Session, transaction_uid: str) -> list[Delivery]:
    """Return the deliveries in a commitment request."""
    query = select(DeliveryRow).where(DeliveryRow.transaction_uid == transaction_uid, DeliveryRow.transaction_uid != "")
    return as_deliveries(session.scalars(query.execution_options(populate_existing=True)).all())


def overdue(session: Session, destination: str, now: datetime) -> list[Delivery]:
    """Return the deliveries whose commitment request was not answered in time."""
    query = select(DeliveryRow).where(
        DeliveryRow.state == DeliveryState.STORED,
        DeliveryRow.destination == destination,
        DeliveryRow.transaction_uid != "",
        DeliveryRow.next_attempt_at <= now,
    )
    return as_deliveries(session.scalars(query.execution_options(populate_existing=True)).all())


def mark_committed(session: Session, delivery: Delivery) -> None:
    """Record that the destination has taken responsibility for the object."""
    change(session, DeliveryRow, _waits_in(delivery), state=DeliveryState.COMMITTED, failure="")


def withhold_replaced(session: Session, delivery: Delivery, failure: str) -> bool:
    """Withhold a stored object if its images were replaced, and return whether it was withheld."""
    replaced = DeliveryRow.job_id.in_(select(JobRow.job_id).where(JobRow.state == JobState.SUPERSEDED))
    stopped = and_(_waits_in(delivery), replaced)
    values = {"state": DeliveryState.WITHHELD, "transaction_uid": "", "failure": failure}
    return bool(change(session, DeliveryRow, stopped, **values))


def send_again(session: Session, delivery: Delivery, now: datetime, failure: str) -> None:
    """Make a stored object due again, because the destination declined responsibility or did not answer."""
    change(
        session,
        DeliveryRow,
        _waits_in(delivery),
        state=DeliveryState.PENDING,
        transaction_uid="",
        next_attempt_at=now,
        waiting_since=now,
        failure=failure,
    )


def give_up(session: Session, delivery: Delivery, failure: str) -> None:
    """Give up the delivery until a person acts, because no request made the destination take responsibility."""
    mark_changed(session, [delivery.study_instance_uid])
    change(
        session,
        DeliveryRow,
        _waits_in(delivery),
        state=DeliveryState.ABANDONED,
        transaction_uid="",
        transaction_count=0,
        failure=failure,
    )


def _waits_in(delivery: Delivery) -> ColumnElement[bool]:
    return and_(
        DeliveryRow.delivery_id == delivery.delivery_id,
        DeliveryRow.state == DeliveryState.STORED,
        DeliveryRow.transaction_uid == delivery.transaction_uid,
    )
