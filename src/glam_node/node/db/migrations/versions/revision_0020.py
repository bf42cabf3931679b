"""Sessions of people who are signed in to the console, which outlive its process."""

import sqlalchemy as sa
from alembic import op

from glam_node.node.db.engine import UtcDateTime

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the table; people who are signed in to an older console sign in again."""
    op.create_table(
        "console_sessions",
        sa.Column("token_digest", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_digest", sa.String(64), nullable=False),
        sa.Column("may_see_identity", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=False),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column("flash", sa.JSON(), nullable=True),
    )
