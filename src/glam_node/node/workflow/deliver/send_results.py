"""Delivery: sends the results that are due, and records the outcome of each object."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries, destinations
from glam_node.node.db.changes import lock_studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import RetryPolicy
from glam_node.node.domain.ports import Destination, OutgoingInstance, StoreOutcome
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.record.events import record_delivery_event
from glam_node.node.workflow.record.failure import describe
from glam_node.node.workflow.record.heartbeat import heartbeat

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

Fallbacks = Mapping[str, Mapping[str, str]]
"""Replacement SOP classes by destination name and by the SOP class that the destination may refuse."""

CLAIM_TIME = timedelta(seconds=15)
"""Time for which claimed deliveries are reserved; a running sender renews it, and another takes over if it dies."""
AT_ONCE = 20
"""Maximum number of objects per association; so at most this many are sent twice if a sender dies while sending."""


def deliver_due(
    sessions: SessionFactory,
    store: InstanceStore,
    archives: Mapping[str, Destination],
    policy: RetryPolicy,
    now: Clock,
    fallbacks: Fallbacks,
) -> int:
    """Send up to AT_ONCE due objects to each destination, and return how many were stored.

    If any object was stored, call the function again at once. Each destination gets one association, and each object
    one outcome:

    - Objects of a SOP class that the destination does not accept are REPLACED by those of the class in `fallbacks`.
    - Objects that the destination refuses for good are ABANDONED at once.
    - Objects that fail otherwise are tried again by `policy`.
    - An object over which the connection was lost is tried again by `policy`, in a separate association.
    - Objects that were not sent because the connection was lost before are due again at once; their attempt does not
      count.
    - Objects for a destination that does not answer stay due until `policy` gives them up; the destination is called
      again after at most 30 seconds.

    Args:
        sessions: Database sessions.
        store: Storage root with the files of the objects.
        archives: Destinations by name.
        policy: Delays and number of attempts.
        now: Clock.
        fallbacks: Replacements for SOP classes that a destination does not accept.
    """
    return sum(
        _deliver_batch(name, destination, sessions, store, policy, now, fallbacks.get(name, {}))
        for name, destination in archives.items()
    )


def withhold(sessions: SessionFactory, destination: str, now: datetime) -> int:
    """Set all objects that wait for the destination to WITHHELD, and return how many there were."""
    with sessions.begin() as session:
        waiting = deliveries.withhold(session, destination)
        for delivery in waiting:
            record_delivery_event(log, session, EventKind.RESULT_WITHHELD, delivery, now)
    return len(waiting)


def make_results_due(
    session: Session, destination: str, now: datetime, study_instance_uid: str = "", *, given_up: bool = False
) -> int:
    """Make waiting results due now, with their attempts counted from zero, and return how many there were.

    Args:
        session: Database session.
        destination: Name of the destination that the results wait for.
        now: Current time.
        study_instance_uid: Study whose results are meant; empty for all studies.
        given_up: Whether to include results that were abandoned.
    """
    return deliveries.retry(
        session,
        destination,
        now=now,
        later_than=now + CLAIM_TIME,  # an object that is due before that may be on its way at this moment
        study_instance_uid=study_instance_uid,
        given_up=given_up,
        held_back=destinations.call_now(session, destination, now),
    )


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
        if not destinations.may_be_called(session, name, now()):
            return 0
        claimed = deliveries.claim_due(session, name, now=now(), until=now() + CLAIM_TIME, limit=AT_ONCE)
    if not claimed:
        return 0
    with heartbeat(partial(_renew_claims, claimed, sessions, now), every_s=CLAIM_TIME.total_seconds() / 4):
        outcomes = _store(destination, claimed, store)
    failed = {one.study_instance_uid for one, outcome in zip(claimed, outcomes, strict=True) if not outcome.stored}
    with sessions.begin() as session:
        lock_studies(session, failed)
        attempted, failed_before = _record_calls(session, name, outcomes, policy, now())
        deliveries.lock_with_substitutes(session, claimed)
        for delivery, outcome in zip(claimed, outcomes, strict=True):
            instead = fallbacks.get(delivery.sop_class_uid) if outcome.sop_class_refused else None
            if not outcome.reached:
                _record_unsent(session, delivery, outcome, policy if attempted else None, now())
            elif instead and deliveries.replace(session, delivery, outcome.failure, instead, now()):
                _record_attempt_event(session, EventKind.DELIVERY_REPLACED, delivery, now(), outcome.failure)
            else:
                _record(session, delivery, outcome, policy, now())
    if failed_before:
        _make_others_due(sessions, name, claimed, failed_before, now())
    return sum(outcome.stored for outcome in outcomes)


def _renew_claims(claimed: Sequence[Delivery], sessions: SessionFactory, now: Clock) -> None:
    with sessions.begin() as session:
        deliveries.extend_claims(session, claimed, now() + CLAIM_TIME)


def _store(destination: Destination, claimed: Sequence[Delivery], store: InstanceStore) -> list[StoreOutcome]:
    """Send the objects whose files can be read, and return one outcome per delivery, in order.

    An object whose file cannot be read fails in this attempt, and the others are still sent.
    """
    outgoing = [
        OutgoingInstance(
            delivery.sop_class_uid,
            delivery.sop_instance_uid,
            delivery.transfer_syntax_uid,
            store.resolve(delivery.path),
        )
        for delivery in claimed
    ]
    away = {one.sop_instance_uid: failure for one in outgoing if (failure := _why_unreadable(one.path))}
    there = [one for one in outgoing if one.sop_instance_uid not in away]
    sent = iter(_send(destination, there))
    return [
        StoreOutcome(one.sop_instance_uid, False, None, True, away[one.sop_instance_uid])
        if one.sop_instance_uid in away
        else next(sent)
        for one in outgoing
    ]


def _send(destination: Destination, outgoing: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
    try:
        return destination.store(outgoing)
    except Exception as error:  # a programming error must not make the node send the same batch for ever
        failure = f"Sending to {destination.name} failed: {describe(error)}."
        log.error("sending_failed", destination=destination.name, failure=failure)
        return [StoreOutcome(one.sop_instance_uid, False, None, True, failure, broke_off=True) for one in outgoing]


def _why_unreadable(path: Path) -> str:
    """Return the reason why a result's file cannot be read at present; empty when it can."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return (
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}. The node tries again. Check that the "
            "disk or share of storage.root is mounted; if it is, restore the file from a backup."
        )
    return ""


def _record_calls(
    session: Session, name: str, outcomes: Sequence[StoreOutcome], policy: RetryPolicy, now: datetime
) -> tuple[bool, int]:
    """Record how the destination answered.

    Returns:
        Whether this call counts as an attempt for unsent objects, and the number of failed calls if it is back now.
    """
    stored = any(outcome.stored for outcome in outcomes)
    failed_before = destinations.record_success(session, name, now) if stored else 0
    failures = [outcome.failure for outcome in outcomes if not outcome.stored]
    if any(outcome.reached for outcome in outcomes):
        if failures:
            destinations.record_refusal(session, name, failures[0], now, stored_any=stored)
        return False, failed_before
    log.warning("destination_does_not_answer", destination=name, failure=failures[0])
    return destinations.record_failure(session, name, failures[0], policy, now), failed_before


def _make_others_due(sessions: SessionFactory, name: str, sent: Sequence[Delivery], failed: int, now: datetime) -> None:
    """Make the other objects due that wait for a destination that is back.

    Their rows are locked in a transaction of their own, so that those of the objects that were sent are not held.
    """
    with sessions.begin() as session:
        later_than = now + CLAIM_TIME  # an object that is due before that may be on its way at this moment
        due = deliveries.make_due(session, name, now, sent, later_than=later_than, failed_at_most=failed)
    log.info("destination_is_back", destination=name, due=due)


def _record_unsent(
    session: Session, delivery: Delivery, outcome: StoreOutcome, policy: RetryPolicy | None, now: datetime
) -> None:
    """Make the object due again at once, or give it up; its attempt counts only if `policy` is given."""
    if policy is None:
        deliveries.give_back(session, delivery, now)
    elif policy.next_attempt_at(delivery.attempt, now) is None:
        _give_up(session, delivery, outcome, now)
    elif deliveries.postpone(session, delivery, now, outcome.failure) and outcome.failure != delivery.failure:
        # While an archive is down all night, each object gets one event and not one per attempt.
        _record_attempt_event(session, EventKind.RESULT_FAILED, delivery, now, outcome.failure)


def _record(session: Session, delivery: Delivery, outcome: StoreOutcome, policy: RetryPolicy, now: datetime) -> None:
    if outcome.stored:
        if deliveries.mark_stored(session, delivery, now, outcome.warning):
            _record_attempt_event(session, EventKind.RESULT_STORED, delivery, now)
            if outcome.warning:
                record_delivery_event(log, session, EventKind.RESULT_WARNED_OF, delivery, now, warning=outcome.warning)
        return
    again = policy.next_attempt_at(delivery.attempt, now) if outcome.transient else None
    if again is None:
        _give_up(session, delivery, outcome, now)
    else:
        waits = deliveries.postpone(session, delivery, again, outcome.failure, alone=outcome.broke_off)
        if waits and outcome.failure != delivery.failure:
            _record_attempt_event(session, EventKind.RESULT_FAILED, delivery, now, outcome.failure)


def _give_up(session: Session, delivery: Delivery, outcome: StoreOutcome, now: datetime) -> None:
    if deliveries.abandon(session, delivery, outcome.failure):
        _record_attempt_event(session, EventKind.DELIVERY_ABANDONED, delivery, now, outcome.failure)


def _record_attempt_event(
    session: Session, kind: EventKind, delivery: Delivery, now: datetime, failure: str = ""
) -> None:
    record_delivery_event(log, session, kind, delivery, now, failure, attempt=delivery.attempt)
