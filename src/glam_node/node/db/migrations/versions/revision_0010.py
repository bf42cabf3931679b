"""BLAKE3 of instances, which replaces the SHA-256."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; existing instances keep their SHA-256."""
    op.add_column("instances", sa.Column("blake3", sa.String(64), nullable=False, server_default=""))
