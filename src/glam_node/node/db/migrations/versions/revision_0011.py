"""Single index with all columns of the study search."""

from alembic import op

revision = "0011"
down_revision = "0010"

_SEARCHED = ["last_received_at", "study_instance_uid", "state", "rule", "accession_number"]


def upgrade() -> None:
    """Create the index; drop the index of the time alone, which it replaces."""
    op.create_index("ix_studies_searched", "studies", _SEARCHED)
    op.drop_index("ix_studies_last_received_at", "studies")
