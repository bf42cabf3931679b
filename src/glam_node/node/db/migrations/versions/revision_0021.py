"""Decisions of rules about results: kinds of results of a job, and the time until which a study is held."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the columns; they stay empty where no rule about results decided."""
    op.add_column("jobs", sa.Column("results", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("submitted_routing", sa.JSON(), nullable=True))
    op.add_column("studies", sa.Column("held_until", UtcDateTime(), nullable=True))
