"""Storage commitment requests that peers have sent to this node."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import ColumnElement, and_
from sqlalchemy.orm import Session

from glam_node.node.db.changes import change, claim, insert_missing
from glam_node.node.db.tables import CommitmentRequestRow
from glam_node.node.domain.commitment import CommitmentRequest, Reference, RequestState


def add(
    session: Session, calling_ae_title: str, transaction_uid: str, references: Sequence[Reference], now: datetime
) -> None:
    """Add a request that waits for its reply; a repeated request is answered again."""
    row = {
        "request_id": str(uuid4()),
        "calling_ae_title": calling_ae_title,
        "transaction_uid": transaction_uid,
        "instances": [[one.sop_class_uid, one.sop_instance_uid] for one in references],
        "state": RequestState.PENDING,
        "attempt": 0,
        "next_attempt_at": now,
        "failure": "",
        "created_at": now,
    }
    insert_missing(session, CommitmentRequestRow, [row])
    same = and_(
        CommitmentRequestRow.calling_ae_title == calling_ae_title,
        CommitmentRequestRow.transaction_uid == transaction_uid,
        CommitmentRequestRow.state != RequestState.PENDING,
    )
    change(session, CommitmentRequestRow, same, state=RequestState.PENDING, attempt=0, next_attempt_at=now)


def claim_due(session: Session, *, now: datetime, until: datetime, limit: int) -> list[CommitmentRequest]:
    """Claim up to `limit` due requests until the time `until`, count the attempt, and return them, oldest first."""
    due = and_(CommitmentRequestRow.state == RequestState.PENDING, CommitmentRequestRow.next_attempt_at <= now)
    table, order = CommitmentRequestRow, (CommitmentRequestRow.created_at,)
    values = {"attempt": table.attempt + 1, "next_attempt_at": until}
    rows = claim(session, table, table.request_id, due, order, limit, **values)
    return [_request(row) for row in sorted(rows, key=lambda row: (row.created_at, row.request_id))]


def mark_reported(session: Session, request: CommitmentRequest) -> None:
    """Record that the peer has accepted the reply."""
    change(
        session,
        CommitmentRequestRow,
        CommitmentRequestRow.request_id == request.request_id,
        state=RequestState.REPORTED,
        failure="",
    )


def postpone(session: Session, request: CommitmentRequest, next_attempt_at: datetime, failure: str) -> None:
    """Record a failed attempt, and send the reply again at `next_attempt_at`."""
    change(session, CommitmentRequestRow, _pending(request), next_attempt_at=next_attempt_at, failure=failure)


def abandon(session: Session, request: CommitmentRequest, failure: str) -> None:
    """Give up sending the reply."""
    change(session, CommitmentRequestRow, _pending(request), state=RequestState.ABANDONED, failure=failure)


def _pending(request: CommitmentRequest) -> ColumnElement[bool]:
    return and_(
        CommitmentRequestRow.request_id == request.request_id, CommitmentRequestRow.state == RequestState.PENDING
    )


def _request(row: CommitmentRequestRow) -> CommitmentRequest:
    return CommitmentRequest(
        request_id=row.request_id,
        calling_ae_title=row.calling_ae_title,
        transaction_uid=row.transaction_uid,
        references=[Reference(*instance) for instance in row.instances],
        attempt=row.attempt,
    )
