"""Replies to peers that request storage commitment for the images that they sent."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import Unpack

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import commitments, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_OBJECT_INSTANCE,
    CommitmentReply,
    CommitmentRequest,
    Failure,
    Reference,
)
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import RetryPolicy
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

AT_ONCE = 10
CLAIM_TIME = timedelta(minutes=2)
"""Time for which a claimed request is reserved; longer than an association with a peer that does not answer."""

SendReply = Callable[[CommitmentReply], None]
"""Function that sends a reply to one peer; raises NodeError if the peer does not accept the reply."""


def answer_commitments(
    sessions: SessionFactory,
    store: InstanceStore,
    peers: Mapping[str, SendReply],
    policy: RetryPolicy,
    now: Callable[[], datetime],
) -> int:
    """Answer up to AT_ONCE due requests, and return how many replies were accepted.

    A reply that the peer does not accept is sent again later, as `policy` states.

    Args:
        sessions: Database sessions.
        store: Storage root that is checked for the files.
        peers: Function that sends a reply to a peer, by AE title of the peer; only for peers with a destination.
        policy: Delays and number of attempts.
        now: Clock.
    """
    return sum(_answer(request, sessions, store, peers, policy, now()) for request in _due_requests(sessions, now))


def _due_requests(sessions: SessionFactory, now: Callable[[], datetime]) -> Iterator[CommitmentRequest]:
    """Claim up to AT_ONCE due requests, each when the one before is answered, so that no claim ends meanwhile."""
    for _ in range(AT_ONCE):
        with sessions.begin() as session:
            due = commitments.claim_due(session, now=now(), until=now() + CLAIM_TIME, limit=1)
        if not due:
            return
        yield from due


def _answer(
    request: CommitmentRequest,
    sessions: SessionFactory,
    store: InstanceStore,
    peers: Mapping[str, SendReply],
    policy: RetryPolicy,
    now: datetime,
) -> bool:
    try:
        # A file that is missing only while the storage is away must not be reported as lost, even if the storage goes
        # or comes back while the reply is made.
        store.require()
        with sessions() as session:
            report = reply_to(session, store, request)
        store.require()
        send = peers.get(request.calling_ae_title)
        if send is None:
            raise PermanentError(
                "The settings no longer have peers.NAME.destination for a peer with AE title "
                f"{request.calling_ae_title}. Set it, so that replies can be sent."
            )
        send(report)
    except NodeError as error:
        _postpone_or_abandon(request, sessions, policy.next_attempt_at(request.attempt, now), str(error), now)
        return False
    with sessions.begin() as session:
        commitments.mark_reported(session, request)
        facts = EventDetail(committed=len(report.committed), failed=len(report.failed))
        _record_request_event(session, EventKind.COMMITMENT_REPORTED, request, now, **facts)
    return True


def _postpone_or_abandon(
    request: CommitmentRequest, sessions: SessionFactory, again: datetime | None, failure: str, now: datetime
) -> None:
    with sessions.begin() as session:
        if again is not None:
            commitments.postpone(session, request, again, failure)
            log.warning("commitment_not_reported", transaction_uid=request.transaction_uid, failure=failure)
        else:
            commitments.abandon(session, request, failure)
            _record_request_event(session, EventKind.COMMITMENT_ABANDONED, request, now, failure=failure)


def reply_to(session: Session, store: InstanceStore, request: CommitmentRequest) -> CommitmentReply:
    """Return the reply: it commits each instance that is in the database with that SOP class and whose file exists.

    Raises:
        TransientError: The disk or share does not say whether a file exists.
    """
    known = studies.recorded_instances(session, [reference.sop_instance_uid for reference in request.references])
    reasons = {one: _reason(one, known.get(one.sop_instance_uid), store) for one in request.references}
    return CommitmentReply(
        request.transaction_uid,
        [reference for reference, reason in reasons.items() if reason is None],
        [Failure(reference, reason) for reference, reason in reasons.items() if reason is not None],
    )


def _reason(reference: Reference, instance: SOPInstance | None, store: InstanceStore) -> int | None:
    if instance is None or not _is_file(store.resolve(instance.path)):
        return NO_SUCH_OBJECT_INSTANCE
    return None if instance.sop_class_uid == reference.sop_class_uid else CLASS_INSTANCE_CONFLICT


def _is_file(path: Path) -> bool:
    try:
        return S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TransientError(f"{path} cannot be checked: {reason}. Check the disk or share of storage.root.") from error


def _record_request_event(
    session: Session, kind: EventKind, request: CommitmentRequest, now: datetime, /, **detail: Unpack[EventDetail]
) -> None:
    facts: EventDetail = {
        "calling_ae_title": request.calling_ae_title,
        "transaction_uid": request.transaction_uid,
        **detail,
    }
    record_event(log, session, kind, now, **facts)
