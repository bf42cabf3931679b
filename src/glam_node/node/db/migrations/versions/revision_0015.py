"""Indexes for the search by Patient ID and Study Date."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_studies_patient_id", "studies", ["patient_id"])
    op.create_index("ix_studies_study_date", "studies", ["study_date"])
