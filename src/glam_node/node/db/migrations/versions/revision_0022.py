"""Studies that `glam-node backfill` fetches, with its progress."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Create the table, which processes of an older version do not read."""
    op.create_table(
        "backfill_studies",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("study_date", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("low_priority", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
    )
