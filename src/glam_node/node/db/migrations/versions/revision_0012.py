"""Digests of the patient facts of images."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column, which is NULL for existing instances."""
    op.add_column("instances", sa.Column("identity", sa.JSON(none_as_null=True), nullable=True))
