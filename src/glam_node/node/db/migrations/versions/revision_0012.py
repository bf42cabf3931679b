"""Images that are received from here on have digests of what they state of their patient."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add a column for them, empty for what was received before."""
    op.add_column("instances", sa.Column("identity", sa.JSON(none_as_null=True), nullable=True))
