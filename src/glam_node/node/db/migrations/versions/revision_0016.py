"""ID that the database and its storage root share."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the table, which the first process of this version fills and older processes ignore."""
    op.create_table(
        "storage",
        sa.Column("row", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("storage_id", sa.String(32), nullable=False),
        sa.Column("is_bound", sa.Boolean, nullable=False),
    )
