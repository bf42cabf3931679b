"""${message}

Works with the code that ran before it: processes are restarted one after the other.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Describe the change."""
    ${upgrades if upgrades else "pass"}
