"""HL7 messages of the hospital, orders and changes of patients; priority of results, and who holds a study."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Create tables and columns, which processes of an older version leave as they are."""
    op.add_column("studies", sa.Column("held_by", sa.String(16), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("result_priority", sa.SmallInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="1"))
    op.create_table(
        "hospital_messages",
        sa.Column("message_digest", sa.String(64), primary_key=True),
        sa.Column("message_type", sa.String(16), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_hospital_messages_received_at", "hospital_messages", ["received_at"])
    _create_orders()
    op.create_table(
        "patient_merges",
        sa.Column("merge_key", sa.String(64), primary_key=True),
        sa.Column("prior_patient_id", sa.Text(), nullable=False),
        sa.Column("merge", sa.JSON(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_patient_merges_prior_patient_id", "patient_merges", ["prior_patient_id"])
    op.create_table(
        "patient_changes",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("follows", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("patient", sa.JSON(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ix_patient_changes_patient_id", "patient_changes", ["patient_id"])


def _create_orders() -> None:
    op.create_table(
        "imaging_orders",
        sa.Column("order_key", sa.String(64), primary_key=True),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("assigning_authority", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("scheduled_at", UtcDateTime(), nullable=True),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("fetch_state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("fetch_until", UtcDateTime(), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
    )
    for column in ("accession_number", "study_instance_uid", "patient_id"):
        op.create_index(f"ix_imaging_orders_{column}", "imaging_orders", [column])
    waiting = sa.text("fetch_state = 'WAITING'")
    op.create_index(
        "ix_imaging_orders_waiting",
        "imaging_orders",
        ["next_attempt_at"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
