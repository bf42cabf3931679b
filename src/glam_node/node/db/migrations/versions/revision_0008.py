"""Table of workers, and indexes for the console's searches."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

UTC_DATETIME = sa.DateTime(timezone=True)
INDEXES = (
    ("ix_studies_state_last_received_at", "studies", ["state", "last_received_at"]),
    ("ix_studies_rule_last_received_at", "studies", ["rule", "last_received_at"]),
    ("ix_studies_accession_number", "studies", ["accession_number"]),
    ("ix_jobs_state_priority_created_at", "jobs", ["state", "priority", "created_at"]),
    ("ix_deliveries_destination_stored_at", "deliveries", ["destination", "stored_at"]),
)


def upgrade() -> None:
    """Create the table and the indexes; drop the index of states, which a longer one replaces."""
    op.create_table(
        "workers",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("predictor", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("resident_bytes", sa.BigInteger(), nullable=False),
        sa.Column("device_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("started_at", UTC_DATETIME, nullable=False),
        sa.Column("last_seen_at", UTC_DATETIME, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.drop_index("ix_studies_state", "studies")
