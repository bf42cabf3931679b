"""Instances that are received from here on have a BLAKE3 instead of a SHA-256."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """There is a column for it; the SHA-256 of what was received before stays."""
    op.add_column("instances", sa.Column("blake3", sa.String(64), nullable=False, server_default=""))
