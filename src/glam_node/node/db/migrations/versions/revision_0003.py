"""Storage commitment requests of peers, and the number of requests for each delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

UTC_DATETIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table, its index, the column and the index on transactions."""
    op.create_table(
        "commitment_requests",
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("instances", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UTC_DATETIME, nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("created_at", UTC_DATETIME, nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
        sa.UniqueConstraint(
            "calling_ae_title", "transaction_uid", name="uq_commitment_requests_calling_ae_title_transaction_uid"
        ),
    )
    op.create_index("ix_commitment_requests_state_next_attempt_at", "commitment_requests", ["state", "next_attempt_at"])
    op.add_column("deliveries", sa.Column("transaction_count", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_deliveries_transaction_uid"), "deliveries", ["transaction_uid"])
