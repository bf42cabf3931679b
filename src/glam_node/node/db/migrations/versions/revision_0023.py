"""Canaries: synthetic studies that the node sends to itself."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Create the table, which processes of an older version do not read."""
    op.create_table(
        "canaries",
        sa.Column("run_id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_instance_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("pass_code_digest", sa.String(64), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("observation", sa.JSON(), nullable=False),
        sa.Column("stages", sa.JSON(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
    )
