"""Tables of received data: studies, instances, conflicts, and the storage root of the files."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from glam_node.node.db.tables.base import UID, Base, partial_index


class StudyRow(Base):
    """Study, as in `domain.study`."""

    __tablename__ = "studies"
    __table_args__ = (
        partial_index("ix_studies_not_free", "standing", "standing <> 'FREE'"),
        Index("ix_studies_state_last_received_at", "state", "last_received_at"),
        Index("ix_studies_rule_last_received_at", "rule", "last_received_at"),
        # The last index has the columns of the search in the order of the list, so the table itself is not read.
        Index("ix_studies_patient_id_last_received_at", "patient_id", "last_received_at", "study_instance_uid"),
        Index("ix_studies_study_date_last_received_at", "study_date", "last_received_at", "study_instance_uid"),
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
    held_until: Mapped[datetime | None]
    held_by: Mapped[str] = mapped_column(String(16), default="", server_default="")
    version: Mapped[int] = mapped_column(default=0, server_default="0")


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
    __table_args__ = (partial_index("ix_conflicts_open", "study_instance_uid", "settled_at IS NULL"),)

    path: Mapped[str] = mapped_column(String(128), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    received_at: Mapped[datetime]
    differs: Mapped[list[str]]
    instance: Mapped[dict[str, Any]]
    study: Mapped[dict[str, Any]]
    settled_at: Mapped[datetime | None]


class StorageRow(Base):
    """Single row with the ID that the marker file in the storage root of this database contains."""

    __tablename__ = "storage"

    row: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    storage_id: Mapped[str] = mapped_column(String(32))
    is_bound: Mapped[bool]


class BackfillRow(Base):
    """Study of a backfill, as in `domain.backfill`; the node may not have it yet."""

    __tablename__ = "backfill_studies"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text)
    accession_number: Mapped[str] = mapped_column(Text)
    study_date: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    low_priority: Mapped[bool] = mapped_column(Boolean)
    """Whether the study came to the node by the backfill, so that it is analysed after all others."""
    failure: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]


class PriorSearchRow(Base):
    """Search for the prior exams of a study, as in `domain.prior`."""

    __tablename__ = "prior_searches"
    __table_args__ = (partial_index("ix_prior_searches_open", "until", "state = 'OPEN'"),)

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    plan: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    until: Mapped[datetime]
    is_searched: Mapped[bool]
    failure: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime]


class PriorStudyRow(Base):
    """Prior exam of a study, as in `domain.prior`; the node may not have it."""

    __tablename__ = "prior_studies"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    prior_study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True, index=True)
    study_date: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    failure: Mapped[str] = mapped_column(Text)
    fetched_for_this: Mapped[bool]
