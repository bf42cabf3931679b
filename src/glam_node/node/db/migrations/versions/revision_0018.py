"""Kinds of results that a job wrote for each destination, and IDs of events that may still be committed."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the columns; `written_for` stays empty for jobs of older versions, whose settings digest differs, too."""
    op.add_column("jobs", sa.Column("written_for", sa.JSON(), nullable=True))
    op.add_column("trace_cursor", sa.Column("gaps", sa.JSON(), nullable=True))
