"""Storage commitment for results: archives are asked to take responsibility for the objects that they stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from pydicom.uid import generate_uid
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries, delivery_commitment
from glam_node.node.db.changes import lock_studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.commitment import CommitmentReply, Reference
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.workflow.record.events import record_delivery_event

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Maximum number of instances in one request."""
ASK_AGAIN_AFTER = timedelta(seconds=30)
"""Time until the next request, after an archive did not accept one."""

TakeReply = Callable[[CommitmentReply], None]
"""Function that handles a reply which the archive sends on the association of the request."""
SendRequest = Callable[[str, Sequence[Reference], TakeReply], None]
"""Function that sends a request with a Transaction UID; raises NodeError if the archive does not accept it."""


@dataclass(frozen=True, slots=True)
class CommitmentPolicy:
    """Settings of storage commitment for results."""

    archives: Mapping[str, str]
    """AE titles by destination name, for the destinations that are asked for commitment."""
    patience: timedelta
    """Time that an archive has for its reply."""
    maximum_requests: int
    """Number of requests after which an object is given up."""


def commit_results(
    sessions: SessionFactory, destination: str, ask: SendRequest, policy: CommitmentPolicy, now: datetime
) -> int:
    """Request commitment for stored objects, and return how many are in the new request.

    Objects of an earlier request without a reply in time are sent to the archive again, or given up after
    `policy.maximum_requests`. The new Transaction UID is committed to the database before the request is sent, so that
    the reply can always be matched to the request. If the archive does not accept the request, the objects are put into
    a later one.
    """
    transaction_uid = str(generate_uid(prefix=None))
    with sessions.begin() as session:
        overdue = sorted(delivery_commitment.overdue(session, destination, now), key=_delivery_id)
        lock_studies(session, {one.study_instance_uid for one in overdue})
        for delivery in overdue:
            _not_committed(session, delivery, "The archive did not reply in time", policy, now)
        asked = delivery_commitment.request(
            session, destination, transaction_uid, now=now, until=now + policy.patience, limit=AT_ONCE
        )
    if not asked:
        return 0
    references = [Reference(one.sop_class_uid, one.sop_instance_uid) for one in asked]
    try:
        ask(transaction_uid, references, partial(_take_reply, sessions, policy.archives[destination], policy, now))
    except NodeError as error:
        log.warning("commitment_not_requested", destination=destination, failure=str(error))
        with sessions.begin() as session:
            delivery_commitment.withdraw(session, transaction_uid, now + ASK_AGAIN_AFTER, str(error))
        return 0
    log.info("commitment_requested", destination=destination, objects=len(asked), transaction_uid=transaction_uid)
    return len(asked)


def _delivery_id(delivery: Delivery) -> str:
    return delivery.delivery_id


def _take_reply(
    sessions: SessionFactory, ae_title: str, policy: CommitmentPolicy, now: datetime, report: CommitmentReply
) -> None:
    """Record a reply that arrived on the association of the request."""
    with sessions.begin() as session:
        take_report(session, ae_title, report, policy, now)


def take_report(
    session: Session, ae_title: str, report: CommitmentReply, policy: CommitmentPolicy, now: datetime
) -> None:
    """Mark the objects that the archive commits as COMMITTED, and send the objects again that it refuses to commit.

    If the same reply arrives again, nothing changes.

    Raises:
        PermanentError: No request to the peer with that AE title has the Transaction UID of the reply.
    """
    asked = {one.sop_instance_uid: one for one in delivery_commitment.in_request(session, report.transaction_uid)}
    if {policy.archives.get(one.destination) for one in asked.values()} != {ae_title}:
        raise PermanentError(f"no request to {ae_title} has the Transaction UID of this reply")
    lock_studies(session, {one.study_instance_uid for one in asked.values()})
    deliveries.lock_with_substitutes(session, list(asked.values()))
    for reference in report.committed:
        delivery = asked.get(reference.sop_instance_uid)
        if delivery is not None and delivery.state is DeliveryState.STORED:
            delivery_commitment.mark_committed(session, delivery)
            record_delivery_event(log, session, EventKind.RESULT_COMMITTED, delivery, now)
    for failure in report.failed:
        delivery = asked.get(failure.reference.sop_instance_uid)
        if delivery is not None and delivery.state is DeliveryState.STORED:
            _not_committed(session, delivery, f"The archive replied 0x{failure.reason:04X}", policy, now)


def _not_committed(session: Session, delivery: Delivery, why: str, policy: CommitmentPolicy, now: datetime) -> None:
    replaced = "Its images were replaced by newer versions, so it is not sent again."
    failure = f"{why} to the request for storage commitment. {replaced}"
    if delivery_commitment.withhold_replaced(session, delivery, failure):
        record_delivery_event(log, session, EventKind.RESULT_WITHHELD, delivery, now, failure)
        return
    if delivery.transaction_count < policy.maximum_requests:
        failure = f"{why} to the request for storage commitment; the object is sent again."
        delivery_commitment.send_again(session, delivery, now, failure)
        record_delivery_event(log, session, EventKind.RESULT_NOT_COMMITTED, delivery, now, failure)
    else:
        failure = (
            f"{why} to the request for storage commitment, {delivery.transaction_count} times. "
            "Check the archive's log, then run glam-node study retry."
        )
        delivery_commitment.give_up(session, delivery, failure)
        record_delivery_event(log, session, EventKind.DELIVERY_ABANDONED, delivery, now, failure)
