"""Sends what is due, and records for every object what became of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.ports import Destination, OutgoingInstance, StoreOutcome
from glam_node.node.domain.retry import RetryPolicy
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.failure import describe
from glam_node.node.workflow.heartbeat import heartbeat
from glam_node.node.workflow.tell import tell_of_delivery

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

Fallbacks = Mapping[str, Mapping[str, str]]
"""By destination: which SOP class stands in for which."""

CLAIM_TIME = timedelta(seconds=15)
"""How long after a sender's death another takes its deliveries up; renewed while it lives."""
AT_ONCE = 20
"""Objects per association: as many are sent twice, at most, when a sender dies before it recorded what it sent."""


def deliver_due(
    sessions: SessionFactory,
    store: InstanceStore,
    destinations: Mapping[str, Destination],
    policy: RetryPolicy,
    now: Clock,
    fallbacks: Fallbacks,
) -> int:
    """How many objects were stored, of up to twenty that were due at each destination; each was tried once.

    One association per destination. Where a destination takes no objects of a SOP class, those of the class that
    `fallbacks` names for it go out instead; what else it refuses for good is ABANDONED at once, and what fails
    otherwise is tried again by `policy`. To be called again at once while it stores anything.
    """
    return sum(
        _deliver_batch(name, destination, sessions, store, policy, now, fallbacks.get(name, {}))
        for name, destination in destinations.items()
    )


def withhold(sessions: SessionFactory, destination: str, now: datetime) -> int:
    """How many objects waited for a destination that nothing is sent to any more; they are WITHHELD."""
    with sessions.begin() as session:
        waiting = deliveries.withhold(session, destination)
        for delivery in waiting:
            tell_of_delivery(log, session, "result_withheld", delivery, now)
    return len(waiting)


def _deliver_batch(
    name: str,
    destination: Destination,
    sessions: SessionFactory,
    store: InstanceStore,
    policy: RetryPolicy,
    now: Clock,
    fallbacks: Mapping[str, str],
) -> int:
    with sessions.begin() as session:
        claimed = deliveries.claim_due(session, name, now=now(), until=now() + CLAIM_TIME, limit=AT_ONCE)
    if not claimed:
        return 0
    with heartbeat(partial(_hold, claimed, sessions, now), every_s=CLAIM_TIME.total_seconds() / 4):
        outcomes = _store(destination, claimed, store)
    with sessions.begin() as session:
        for delivery, outcome in zip(claimed, outcomes, strict=True):
            instead = fallbacks.get(delivery.sop_class_uid) if outcome.sop_class_refused else None
            if instead and deliveries.replace(session, delivery, outcome.failure, instead, now()):
                _tell(session, "delivery_replaced", delivery, now(), outcome.failure)
            else:
                _record(session, delivery, outcome, policy, now())
    return sum(outcome.stored for outcome in outcomes)


def _hold(claimed: Sequence[Delivery], sessions: SessionFactory, now: Clock) -> None:
    with sessions.begin() as session:
        deliveries.hold(session, claimed, now() + CLAIM_TIME)


def _store(destination: Destination, claimed: Sequence[Delivery], store: InstanceStore) -> list[StoreOutcome]:
    outgoing = [
        OutgoingInstance(
            delivery.sop_class_uid,
            delivery.sop_instance_uid,
            delivery.transfer_syntax_uid,
            store.resolve(delivery.path),
        )
        for delivery in claimed
    ]
    try:
        return destination.store(outgoing)
    except Exception as error:  # a fault of ours must not send the same batch for ever
        failure = f"Sending to {destination.name} failed: {describe(error)}."
        log.error("sending_failed", destination=destination.name, failure=failure)
        return [StoreOutcome(instance.sop_instance_uid, False, None, True, failure) for instance in outgoing]


def _record(session: Session, delivery: Delivery, outcome: StoreOutcome, policy: RetryPolicy, now: datetime) -> None:
    if outcome.stored:
        if deliveries.mark_stored(session, delivery, now):
            _tell(session, "result_stored", delivery, now)
        return
    again = policy.next_attempt_at(delivery.attempt, now) if outcome.transient else None
    if again is None:
        if deliveries.abandon(session, delivery, outcome.failure):
            _tell(session, "delivery_abandoned", delivery, now, outcome.failure)
    # An archive that is down all night is told once, not at every attempt.
    elif deliveries.postpone(session, delivery, again, outcome.failure) and outcome.failure != delivery.failure:
        _tell(session, "result_failed", delivery, now, outcome.failure)


def _tell(session: Session, event: str, delivery: Delivery, now: datetime, failure: str = "") -> None:
    tell_of_delivery(log, session, event, delivery, now, failure, attempt=delivery.attempt)
