"""Tables of accounts, sessions, events, audit messages and alerts, and the cursor of the traces."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from glam_node.node.db.tables.base import UID, Base, partial_index
from glam_node.node.domain.event import EventDetail


class AccountRow(Base):
    """Local account of the console, as in `domain.account`."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    may_see_identity: Mapped[bool] = mapped_column(Boolean, default=False)
    changed_at: Mapped[datetime]


class SessionRow(Base):
    """Session of a person who is signed in to the console, as in `domain.account`; times are in UTC."""

    __tablename__ = "console_sessions"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(16))
    password_digest: Mapped[str] = mapped_column(String(64))
    may_see_identity: Mapped[bool] = mapped_column(Boolean)
    issuer: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime]
    used_at: Mapped[datetime]
    id_token: Mapped[str] = mapped_column(Text)
    flash: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class EventRow(Base):
    """Event: one line of a study's timeline, or a refusal; it never contains patient names, IDs or birth dates."""

    __tablename__ = "events"
    __table_args__ = (partial_index("ix_events_unreported", "event_id", "audit_sequence IS NULL"),)

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(64), index=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, default="", index=True)
    detail: Mapped[EventDetail] = mapped_column(JSON)
    audit_sequence: Mapped[int | None]
    """Sequence number of the audit message about the event; 0 if it needs no message; NULL until this is decided."""


class AuditMessageRow(Base):
    """DICOM audit message; rows are only appended, and only `sent_at` of a row changes."""

    __tablename__ = "audit_messages"
    __table_args__ = (partial_index("ix_audit_messages_unsent", "sequence", "sent_at IS NULL"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_at: Mapped[datetime]
    message: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime | None]


class AlertRow(Base):
    """Current alert, as in `domain.alert`."""

    __tablename__ = "alerts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject: Mapped[str] = mapped_column(String(128), primary_key=True)
    fact: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    began_at: Mapped[datetime]


class AlertMessageRow(Base):
    """Message about an alert for one channel, as in `domain.alert`."""

    __tablename__ = "alert_messages"

    message_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128))
    phase: Mapped[str] = mapped_column(String(16))
    channel: Mapped[str] = mapped_column(String(16))
    fact: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    attempt: Mapped[int]
    next_attempt_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


class TraceCursorRow(Base):
    """Single row with the events that were sent to the collector of traces, as in `db.traces`."""

    __tablename__ = "trace_cursor"

    cursor_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int]
    gaps: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
