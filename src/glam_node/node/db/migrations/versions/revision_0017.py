"""Times at which jobs and deliveries began to wait, if later than their creation, and indexes to sort studies."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns, which older processes leave empty, and replace two indexes by wider ones."""
    for table in ("jobs", "deliveries"):
        op.add_column(table, sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    for column in ("patient_id", "study_date"):
        op.drop_index(f"ix_studies_{column}", "studies")
        wider = [column, "last_received_at", "study_instance_uid"]
        op.create_index(f"ix_studies_{column}_last_received_at", "studies", wider)
