"""Tables of what the hospital announces by HL7: messages, orders, and changes of patients."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, SmallInteger, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from glam_node.node.db.tables.base import UID, Base, partial_index


class HospitalMessageRow(Base):
    """Message that was accepted, so that its repetition has no second effect; the message itself is not kept."""

    __tablename__ = "hospital_messages"

    message_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the bytes of the message."""
    message_type: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime] = mapped_column(index=True)


class HospitalMessageCountRow(Base):
    """Number of messages of a type that were answered with a code."""

    __tablename__ = "hospital_message_counts"

    message_type: Mapped[str] = mapped_column(String(16), primary_key=True)
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    count: Mapped[int]


class ImagingOrderRow(Base):
    """Order, as in `domain.imaging_order`."""

    __tablename__ = "imaging_orders"
    __table_args__ = (partial_index("ix_imaging_orders_waiting", "next_attempt_at", "fetch_state = 'WAITING'"),)

    order_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    accession_number: Mapped[str] = mapped_column(Text, index=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    patient_id: Mapped[str] = mapped_column(Text, index=True)
    assigning_authority: Mapped[str] = mapped_column(Text)
    universal_id: Mapped[str] = mapped_column(Text, server_default="")
    reference: Mapped[str] = mapped_column(String(16), server_default="")
    priority: Mapped[int | None] = mapped_column(SmallInteger)
    reason: Mapped[str] = mapped_column(Text)
    scheduled_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    cancelled: Mapped[bool] = mapped_column(Boolean, server_default=false())
    fetch_state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    fetch_until: Mapped[datetime | None]
    instances: Mapped[int]
    failure: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]


class PatientMergeRow(Base):
    """Merge of a Patient ID into another one, as in `domain.patient_change`."""

    __tablename__ = "patient_merges"

    merge_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    prior_patient_id: Mapped[str] = mapped_column(Text, index=True)
    merge: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class PatientChangeRow(Base):
    """Change of the patient of a study, as in `domain.patient_change`."""

    __tablename__ = "patient_changes"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    follows: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text, index=True)
    """Patient ID of the results."""
    patient: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
