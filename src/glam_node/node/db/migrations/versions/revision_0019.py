"""Kind of a job's failure, and the version of a study."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_SENTENCES = {
    "Out of memory: %": "out_of_memory",
    "%worker processes died while they ran this job%": "worker_died",
    "No space left on device%": "disk_full",
    "Disk quota exceeded%": "disk_full",
}
"""Kind of a failure by the beginning or a part of the sentence about it; earlier versions stored only the sentence."""


def upgrade() -> None:
    """Add the columns, which older processes leave as they are; a failure that no sentence tells is of another kind."""
    op.add_column("jobs", sa.Column("failure_kind", sa.String(32), nullable=False, server_default=""))
    op.add_column("studies", sa.Column("version", sa.Integer, nullable=False, server_default="0"))
    jobs = sa.table("jobs", sa.column("state"), sa.column("failure"), sa.column("failure_kind"))
    told = [(jobs.c.failure.like(sentence), kind) for sentence, kind in _SENTENCES.items()]
    kind = sa.case((jobs.c.state == "SUCCEEDED", "result_not_written"), *told, else_="other")
    op.execute(jobs.update().where(jobs.c.failure != "").values(failure_kind=kind))
