"""Chain of DICOM audit messages: the hash of each message covers its bytes and the hash of the message before."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.tables import AuditMessageRow, EventRow

BEGINNING = "0" * 64
"""Previous hash of the first message."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """Audit message with its place in the chain; hashes in hex."""

    sequence: int
    """Sequence number; the numbers start at 1 and have no gaps."""
    event_at: datetime
    message: bytes
    previous_hash: str
    hash: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fault:
    """First message that breaks the chain."""

    sequence: int
    reason: str


def hash_of(previous_hash: str, message: bytes) -> str:
    """Return the SHA-256 over the 32 bytes of the previous hash and the message, in hex."""
    return hashlib.sha256(bytes.fromhex(previous_hash) + message).hexdigest()


def append(session: Session, messages: Sequence[tuple[datetime, bytes]]) -> list[int]:
    """Append messages to the chain and return their sequence numbers.

    Args:
        session: A session in a transaction.
        messages: Time of the event and bytes of each message, in their order.

    Raises:
        sqlalchemy.exc.IntegrityError: Another process has appended at the same time; the transaction changes nothing.
    """
    query = select(AuditMessageRow.sequence, AuditMessageRow.hash).order_by(AuditMessageRow.sequence.desc()).limit(1)
    last, previous_hash = next(((row.sequence, row.hash) for row in session.execute(query)), (0, BEGINNING))
    rows: list[dict[str, Any]] = []
    for sequence, (event_at, message) in enumerate(messages, last + 1):
        own_hash = hash_of(previous_hash, message)
        link = {"sequence": sequence, "previous_hash": previous_hash, "hash": own_hash}
        rows.append({"event_at": event_at, "message": message, **link})
        previous_hash = own_hash
    if rows:
        session.execute(insert(AuditMessageRow), rows)
    return [row["sequence"] for row in rows]


def unsent(session: Session, limit: int) -> list[AuditMessage]:
    """Return the first messages that the collector has not accepted, in order."""
    query = (
        select(AuditMessageRow).where(AuditMessageRow.sent_at.is_(None)).order_by(AuditMessageRow.sequence).limit(limit)
    )
    return [_message(row) for row in session.scalars(query)]


def mark_sent(session: Session, messages: Sequence[AuditMessage], now: datetime) -> None:
    """Record that the collector has accepted the messages."""
    session.execute(
        update(AuditMessageRow)
        .where(AuditMessageRow.sequence.in_([message.sequence for message in messages]))
        .values(sent_at=now)
        .execution_options(synchronize_session=False)
    )


def recent(session: Session, limit: int) -> list[AuditMessage]:
    """Return the last `limit` messages, the newest first."""
    query = select(AuditMessageRow).order_by(AuditMessageRow.sequence.desc()).limit(limit)
    return [_message(row) for row in session.scalars(query)]


def counts(session: Session) -> tuple[int, int]:
    """Return the number of messages, and the number of those that wait for the collector."""
    total = session.scalar(select(func.count()).select_from(AuditMessageRow)) or 0
    waiting = session.scalar(select(func.count()).select_from(AuditMessageRow).where(AuditMessageRow.sent_at.is_(None)))
    return total, waiting or 0


def first_fault(session: Session) -> Fault | None:
    """Return the first message that was changed or removed; None if the chain is intact.

    Messages removed from the end are noticed only if the events that they describe still refer to them.
    """
    query = select(AuditMessageRow).order_by(AuditMessageRow.sequence).execution_options(yield_per=AT_ONCE)
    sequence, previous_hash = 0, BEGINNING
    with session.scalars(query) as links:
        for link in links:
            reason = _fault_of(link, sequence, previous_hash)
            if reason:
                return Fault(sequence + 1, reason)
            sequence, previous_hash = link.sequence, link.hash
    referred = session.scalar(select(func.max(EventRow.audit_sequence))) or 0
    return Fault(sequence + 1, "it is missing, although an event refers to it") if referred > sequence else None


def _fault_of(link: AuditMessageRow, sequence: int, previous_hash: str) -> str:
    if link.sequence != sequence + 1:
        return "it is missing"
    if link.previous_hash != previous_hash:
        return "its previous hash is not that of the message before it"
    # SQLite returns text from a binary column if somebody has written text into it.
    if not isinstance(link.message, bytes) or link.hash != hash_of(previous_hash, link.message):
        return "its hash is not that of its bytes, so one of the two was changed"
    return ""


def _message(row: AuditMessageRow) -> AuditMessage:
    return AuditMessage(row.sequence, row.event_at, row.message, row.previous_hash, row.hash, row.sent_at)
