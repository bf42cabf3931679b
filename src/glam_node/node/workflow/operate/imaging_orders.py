"""Orders of the hospital: the priority of their studies, studies to fetch, and the end of a first read."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import imaging_orders, job_restarts, patient_changes, studies
from glam_node.node.db.standing import holder
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.imaging_order import FetchState, ImagingOrder, OrderMessage, OrderStep
from glam_node.node.domain.study import Holder
from glam_node.node.workflow.operate.standing import free_after_first_read
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """Settings that decide what the message about an order does."""

    fetches: bool
    """Whether the studies of orders are fetched."""
    fetch_time_s: float
    """Seconds after the scheduled time, or the arrival of the order, at which the node stops looking for the study."""
    releasing: Collection[OrderStep]
    """Steps after which the first read is done."""


def take_order(session: Session, message: OrderMessage, policy: OrderPolicy, control_id: str, now: datetime) -> str:
    """Record what a message says about an order, and return it in words without patient data.

    A study on record gets the priority of the order if its analysis has not begun.
    """
    known = imaging_orders.get(session, message.key)
    changes: dict[str, Any] = {}
    if message.step in policy.releasing:
        changes["read_at"] = now
    if message.step is OrderStep.CANCELLED:
        changes["cancelled"] = True
        if known is not None and known.fetch_state is FetchState.WAITING:
            changes |= {"fetch_state": FetchState.WITHDRAWN, "next_attempt_at": None}
    elif message.step is OrderStep.ON_HOLD:
        changes |= _withdrawn(known, policy)
    elif message.step is OrderStep.PLACED or (message.step is OrderStep.CHANGED and not _is_stopped(known)):
        changes |= {"cancelled": False, **_fetch(message, known, policy, now)}
    order = imaging_orders.merge_message(session, message, now, **changes)
    for uid in imaging_orders.studies_of(session, order):
        _tell_study(session, uid, order, message, control_id, now)
    fetches = f", fetch {order.fetch_state}" if order.fetch_state else ""
    return f"order {message.step}{fetches}"


def _withdrawn(known: ImagingOrder | None, policy: OrderPolicy) -> dict[str, Any]:
    """Return that the node does not look for the study, unless it was fetched."""
    if not policy.fetches or (known is not None and known.fetch_state is FetchState.FETCHED):
        return {}
    return {"fetch_state": FetchState.WITHDRAWN, "next_attempt_at": None}


def _is_stopped(known: ImagingOrder | None) -> bool:
    """Return whether an order was cancelled or is on hold: a change of its facts does not make it go on."""
    return known is not None and (known.cancelled or known.fetch_state is FetchState.WITHDRAWN)


def _fetch(message: OrderMessage, known: ImagingOrder | None, policy: OrderPolicy, now: datetime) -> dict[str, Any]:
    """Return when the node looks for the study, and until when; nothing if it is not to be fetched, or was."""
    if not policy.fetches or (known is not None and known.fetch_state is FetchState.FETCHED):
        return {}
    scheduled = message.scheduled_at or (known.scheduled_at if known is not None else None)
    begins = max(now, scheduled or now)
    until = begins + timedelta(seconds=policy.fetch_time_s)
    return {"fetch_state": FetchState.WAITING, "next_attempt_at": begins, "fetch_until": until, "failure": ""}


def _tell_study(
    session: Session, uid: str, order: ImagingOrder, message: OrderMessage, control_id: str, now: datetime
) -> None:
    study = studies.get(session, uid, for_update=True)
    if study is None:
        return
    facts = EventDetail(step=str(message.step), control_id=control_id)
    if message.step in (OrderStep.PLACED, OrderStep.CHANGED) and order.priority is not None:
        job_restarts.set_priority(session, uid, order.priority)
        facts["priority"] = order.priority.name.lower()
    record_event(log, session, EventKind.ORDER_RECEIVED, now, study_instance_uid=uid, **facts)


def release_read_studies(session: Session, now: datetime) -> int:
    """Release the studies that a rule holds and whose first read is done, and return their number."""
    released = 0
    for uid in imaging_orders.read_and_held(session):
        study = studies.get(session, uid, for_update=True)
        read_at = None if study is None else imaging_orders.first_read_at(session, study)
        change = patient_changes.of_study(session, uid)
        is_in_doubt = change is not None and not change.follows and change.settled_at is None
        # A person, or a correction of the patient, may hold the study since the query.
        if study is not None and read_at is not None and not is_in_doubt and holder(session, uid) is Holder.RULE:
            released += free_after_first_read(session, study, read_at, now)
    return released
