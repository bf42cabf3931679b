"""Conflicts: newer versions of instances that a person decides about."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0014"
down_revision = "0013"

_OPEN = sa.text("settled_at IS NULL")


def upgrade() -> None:
    """Create the table; existing files in `conflicts/` stay without a row."""
    op.create_table(
        "conflicts",
        sa.Column("path", sa.String(128), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("differs", sa.JSON(), nullable=False),
        sa.Column("instance", sa.JSON(), nullable=False),
        sa.Column("study", sa.JSON(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ix_conflicts_sop_instance_uid", "conflicts", ["sop_instance_uid"])
    op.create_index("ix_conflicts_study_instance_uid", "conflicts", ["study_instance_uid"])
    op.create_index(
        "ix_conflicts_open", "conflicts", ["study_instance_uid"], postgresql_where=_OPEN, sqlite_where=_OPEN
    )
