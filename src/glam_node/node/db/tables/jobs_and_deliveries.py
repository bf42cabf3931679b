"""Tables of jobs and workers, deliveries and destinations, and commitment requests."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from glam_node.node.db.tables.base import UID, Base


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
    announced_at: Mapped[datetime | None] = mapped_column("rung_at")
    failure: Mapped[str] = mapped_column(Text, default="")
    failure_kind: Mapped[str] = mapped_column(String(32), default="", server_default="")
    created_at: Mapped[datetime]
    waiting_since: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stage_seconds: Mapped[list[Any]] = mapped_column(default=list)
    rule: Mapped[str] = mapped_column(Text, default="", server_default="")
    shadow: Mapped[bool] = mapped_column(default=False, server_default=false())
    destinations: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    written_for: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    results: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    submitted_routing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    result_priority: Mapped[int | None] = mapped_column(SmallInteger)
    waits_until: Mapped[datetime | None]
    priors: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))


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
    waiting_since: Mapped[datetime | None]
    stored_at: Mapped[datetime | None]
    warning: Mapped[str] = mapped_column(Text, default="", server_default="")
    alone: Mapped[bool] = mapped_column(default=False, server_default=false())
    priority: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")


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
