"""Routing of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; the results of existing jobs go to all destinations."""
    op.add_column("jobs", sa.Column("rule", sa.Text(), server_default="", nullable=False))
    op.add_column("jobs", sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("jobs", sa.Column("destinations", sa.JSON(), nullable=True))
