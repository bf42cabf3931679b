"""Warnings of destinations, the deliveries to be sent alone, and the failed calls to each destination."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

UTC_DATETIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the table, which processes of the previous version can ignore."""
    op.add_column("deliveries", sa.Column("warning", sa.Text, nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("alone", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "destinations",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", UTC_DATETIME, nullable=False),
        sa.Column("next_call_at", UTC_DATETIME, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("failed_at", UTC_DATETIME, nullable=True),
    )
