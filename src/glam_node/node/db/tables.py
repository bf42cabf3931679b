"""Tables of the database; columns have the names of the domain's fields."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from glam_node.node.db.engine import UtcDateTime

UID = String(64)


class Base(DeclarativeBase):
    """Base of all tables, with the metadata that Alembic compares with the database."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON, list[Any]: JSON}  # noqa: RUF012


def _where(name: str, column: str, condition: str) -> Index:
    """Return an index of the rows that meet the condition."""
    return Index(name, column, postgresql_where=text(condition), sqlite_where=text(condition))


class StudyRow(Base):
    """Study, as in `domain.study`."""

    __tablename__ = "studies"
    __table_args__ = (
        _where("ix_studies_not_free", "standing", "standing <> 'FREE'"),
        Index("ix_studies_state_last_received_at", "state", "last_received_at"),
        Index("ix_studies_rule_last_received_at", "rule", "last_received_at"),
        # The last index has the columns of the search in the order of the list, so the table itself is not read.
        Index("ix_studies_patient_id", "patient_id"),
        Index("ix_studies_study_date", "study_date"),
        Index("ix_studies_searched", "last_received_at", "study_instance_uid", "state", "rule", "accession_number"),
    )

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Text, default="")
    issuer_of_patient_id: Mapped[str] = mapped_column(Text, default="")
    accession_number: Mapped[str] = mapped_column(Text, default="", index=True)
    study_date: Mapped[str] = mapped_column(Text, default="")
    study_description: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16))
    rule: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    first_received_at: Mapped[datetime]
    receiving_since: Mapped[datetime]
    last_received_at: Mapped[datetime]
    standing: Mapped[str] = mapped_column(String(16), default="FREE")
    standing_reason: Mapped[str] = mapped_column(Text, default="")


class InstanceRow(Base):
    """Received instance, as in `domain.instance`."""

    __tablename__ = "instances"

    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("studies.study_instance_uid"), index=True)
    series_instance_uid: Mapped[str] = mapped_column(UID)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    path: Mapped[str] = mapped_column(Text)
    blake3: Mapped[str] = mapped_column(String(64), server_default="")
    sha256: Mapped[str] = mapped_column(String(64))
    byte_count: Mapped[int] = mapped_column(BigInteger)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime]
    attributes: Mapped[dict[str, Any]]
    identity: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Digests of the patient facts of an image, without names, IDs or birth dates."""


class ConflictRow(Base):
    """Newer version of an instance, as in `domain.conflict`; the row stays after a person's decision."""

    __tablename__ = "conflicts"
    __table_args__ = (_where("ix_conflicts_open", "study_instance_uid", "settled_at IS NULL"),)

    path: Mapped[str] = mapped_column(String(128), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    received_at: Mapped[datetime]
    differs: Mapped[list[str]]
    instance: Mapped[dict[str, Any]]
    study: Mapped[dict[str, Any]]
    settled_at: Mapped[datetime | None]


class JobRow(Base):
    """Inference job, as in `domain.job`."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_state_next_attempt_at", "state", "next_attempt_at"),
        Index("ix_jobs_state_priority_created_at", "state", "priority", "created_at"),
    )

    job_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey("studies.study_instance_uid"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    sop_instance_uids: Mapped[list[str]]
    priority: Mapped[int] = mapped_column(SmallInteger)
    settings_digest: Mapped[str] = mapped_column(String(64))
    algorithm_version: Mapped[str] = mapped_column(Text, default="")
    lease_owner: Mapped[str] = mapped_column(Text, default="")
    lease_expires_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    rung_at: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stage_seconds: Mapped[list[Any]] = mapped_column(default=list)
    rule: Mapped[str] = mapped_column(Text, default="", server_default="")
    shadow: Mapped[bool] = mapped_column(default=False, server_default=false())
    destinations: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))


class DeliveryRow(Base):
    """Delivery of a result object, as in `domain.delivery`."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("destination", "sop_instance_uid", name="uq_deliveries_destination_sop_instance_uid"),
        Index("ix_deliveries_state_destination_next_attempt_at", "state", "destination", "next_attempt_at"),
        Index("ix_deliveries_destination_stored_at", "destination", "stored_at"),
    )

    delivery_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id"), index=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    destination: Mapped[str] = mapped_column(Text)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    path: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    transaction_uid: Mapped[str] = mapped_column(UID, default="", index=True)
    transaction_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    failure: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]
    warning: Mapped[str] = mapped_column(Text, default="", server_default="")
    alone: Mapped[bool] = mapped_column(default=False, server_default=false())


class DestinationRow(Base):
    """Failed calls to one destination, as in `db.destinations`."""

    __tablename__ = "destinations"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    attempt: Mapped[int]
    next_attempt_at: Mapped[datetime]
    next_call_at: Mapped[datetime]
    failure: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime | None]


class CommitmentRequestRow(Base):
    """Storage commitment request of a peer, as in `domain.commitment`."""

    __tablename__ = "commitment_requests"
    __table_args__ = (
        UniqueConstraint(
            "calling_ae_title", "transaction_uid", name="uq_commitment_requests_calling_ae_title_transaction_uid"
        ),
        Index("ix_commitment_requests_state_next_attempt_at", "state", "next_attempt_at"),
    )

    request_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    transaction_uid: Mapped[str] = mapped_column(UID)
    instances: Mapped[list[Any]]
    """SOP Class UID and SOP Instance UID of each instance."""
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int]
    next_attempt_at: Mapped[datetime]
    failure: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class AccountRow(Base):
    """Local account of the console, as in `domain.account`."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    may_see_identity: Mapped[bool] = mapped_column(Boolean, default=False)
    changed_at: Mapped[datetime]


class WorkerRow(Base):
    """Registered worker, as in `domain.worker`."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    process_id: Mapped[int]
    device: Mapped[str] = mapped_column(Text)
    route: Mapped[str] = mapped_column(Text)
    predictor: Mapped[str] = mapped_column(Text)
    algorithm: Mapped[str] = mapped_column(Text)
    threads: Mapped[int]
    resident_bytes: Mapped[int] = mapped_column(BigInteger)
    device_bytes: Mapped[int | None] = mapped_column(BigInteger)
    device_total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class EventRow(Base):
    """Event: one line of a study's timeline, or a refusal; never patient names, IDs or birth dates."""

    __tablename__ = "events"
    __table_args__ = (_where("ix_events_unreported", "event_id", "audit_sequence IS NULL"),)

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(64), index=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, default="", index=True)
    detail: Mapped[dict[str, Any]]
    audit_sequence: Mapped[int | None]
    """Sequence number of the audit message about the event; 0 for none; NULL until that is decided."""


class AuditMessageRow(Base):
    """DICOM audit message; rows are only appended, and only `sent_at` of a row changes."""

    __tablename__ = "audit_messages"
    __table_args__ = (_where("ix_audit_messages_unsent", "sequence", "sent_at IS NULL"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_at: Mapped[datetime]
    message: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime | None]


class AlertRow(Base):
    """Present alert, as in `domain.alert`."""

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
    """Single row with the last event that was sent to the collector of traces."""

    __tablename__ = "trace_cursor"

    cursor_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int]
