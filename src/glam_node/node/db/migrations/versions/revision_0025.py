"""Prior exams: the searches for them, the exams found, and the jobs that wait for them or were compared with them."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the tables and columns, which processes of an older version do not read."""
    op.create_table(
        "prior_searches",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("is_searched", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
    )
    op.create_index(
        "ix_prior_searches_open",
        "prior_searches",
        ["until"],
        sqlite_where=sa.text("state = 'OPEN'"),
        postgresql_where=sa.text("state = 'OPEN'"),
    )
    op.create_table(
        "prior_studies",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("prior_study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("study_date", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("fetched_for_this", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_prior_studies_prior_study_instance_uid", "prior_studies", ["prior_study_instance_uid"])
    op.add_column("jobs", sa.Column("waits_until", UtcDateTime(), nullable=True))
    op.add_column("jobs", sa.Column("priors", sa.JSON(), nullable=True))
