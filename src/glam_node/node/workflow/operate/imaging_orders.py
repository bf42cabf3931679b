"""Orders of the hospital: the priority of their studies, studies to fetch, and the end of a first read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import imaging_orders, job_restarts, patient_changes, studies
from glam_node.node.db.standing import holder
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.imaging_order import FetchState, ImagingOrder, OrderMessage, OrderStep
from glam_node.node.domain.stated_patient import PatientIdentifier
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
    authority: str = ""
    """Assigning authority of Patient IDs that state none; empty if the site does not name it."""


def take_orders(
    session: Session, messages: Sequence[OrderMessage], policy: OrderPolicy, control_id: str, now: datetime
) -> str:
    """Record what a message says about its orders, and return it in words without patient data.

    A study on record gets the priority of its order if its analysis has not begun. All orders and then all studies are
    locked in the order of their keys, so that messages about the same studies wait for each other.
    """
    named = [replace(one, patient=_current(session, one, policy)) for one in messages]
    taken = [(_record(session, one, policy, now), one) for one in sorted(named, key=lambda one: one.key)]
    concerned = [
        (uid, order, one) for order, one in taken for uid in imaging_orders.studies_of(session, order, policy.authority)
    ]
    for uid, order, one in sorted(concerned, key=lambda each: each[0]):
        _tell_study(session, uid, order, one, control_id, now)
    return "; ".join(_outcome(order, one) for order, one in taken)


def _current(session: Session, message: OrderMessage, policy: OrderPolicy) -> PatientIdentifier:
    """Return the patient of a message, with the ID that survives if hers was merged."""
    return patient_changes.ids_after_merges(session, message.patient.named(policy.authority))[-1]


def _outcome(order: ImagingOrder, message: OrderMessage) -> str:
    fetches = f", fetch {order.fetch_state}" if order.fetch_state else ""
    return f"order {message.step}{fetches}"


def _record(session: Session, message: OrderMessage, policy: OrderPolicy, now: datetime) -> ImagingOrder:
    known = imaging_orders.get(session, message, policy.authority)
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
    return imaging_orders.merge_message(session, message, now, **changes)


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


def release_read_studies(session: Session, now: datetime, authority: str) -> int:
    """Release the studies that a rule holds and whose first read is done, and return their number.

    Args:
        session: A session in a transaction.
        now: The time.
        authority: The assigning authority of Patient IDs that state none; empty if it is not known.
    """
    released = 0
    for study in studies.get_many(session, imaging_orders.read_and_held(session)):
        uid, read_at = study.study_instance_uid, imaging_orders.first_read_at(session, study, authority)
        if read_at is None:
            continue
        locked = studies.get(session, uid, for_update=True)
        change = patient_changes.of_study(session, uid)
        is_in_doubt = change is not None and not change.follows and change.settled_at is None
        # A person, or a correction of the patient, may hold the study since the query.
        if locked is not None and not is_in_doubt and holder(session, uid) is Holder.RULE:
            released += free_after_first_read(session, locked, read_at, now)
    return released
