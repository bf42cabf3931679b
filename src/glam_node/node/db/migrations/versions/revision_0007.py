"""Standing of studies, and the right of accounts to see patient names and IDs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns and an index; every existing study is free, and no account may see names and IDs."""
    op.add_column("studies", sa.Column("standing", sa.String(16), nullable=False, server_default="FREE"))
    op.add_column("studies", sa.Column("standing_reason", sa.Text(), nullable=False, server_default=""))
    where = sa.text("standing <> 'FREE'")
    op.create_index("ix_studies_not_free", "studies", ["standing"], postgresql_where=where, sqlite_where=where)
    op.add_column("accounts", sa.Column("may_see_identity", sa.Boolean(), nullable=False, server_default=sa.false()))
