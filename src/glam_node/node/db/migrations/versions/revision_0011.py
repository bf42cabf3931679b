"""One index holds all that studies are searched by."""

from alembic import op

revision = "0011"
down_revision = "0010"

_SEARCHED = ["last_received_at", "study_instance_uid", "state", "rule", "accession_number"]


def upgrade() -> None:
    """It takes the place of the index of the time alone."""
    op.create_index("ix_studies_searched", "studies", _SEARCHED)
    op.drop_index("ix_studies_last_received_at", "studies")
