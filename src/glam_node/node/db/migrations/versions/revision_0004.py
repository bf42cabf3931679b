"""Chain of DICOM audit messages, protected from changes by database triggers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

UTC_DATETIME = sa.DateTime(timezone=True)
KEPT = ("sequence", "event_at", "message", "previous_hash", "hash")
REASON = "audit messages are only appended"


def upgrade() -> None:
    """Create the table, its triggers and indexes; existing events get no audit message."""
    op.create_table(
        "audit_messages",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_at", UTC_DATETIME, nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("sent_at", UTC_DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
    )
    create_partial_index("ix_audit_messages_unsent", "audit_messages", "sequence", "sent_at IS NULL")
    op.add_column("events", sa.Column("audit_sequence", sa.Integer(), nullable=True))
    op.execute("UPDATE events SET audit_sequence = 0")
    create_partial_index("ix_events_unreported", "events", "event_id", "audit_sequence IS NULL")
    if op.get_bind().dialect.name == "postgresql":
        guard_postgresql()
    else:
        guard_sqlite()


def create_partial_index(name: str, table: str, column: str, condition: str) -> None:
    """Create an index of the rows that meet the condition."""
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=False, postgresql_where=where, sqlite_where=where)


def guard_sqlite() -> None:
    """Create triggers that refuse to delete a row and to change any column but sent_at."""
    refusal = f"BEGIN SELECT RAISE(ABORT, '{REASON}'); END"
    op.execute(f"CREATE TRIGGER audit_messages_stay BEFORE DELETE ON audit_messages {refusal}")
    op.execute(f"CREATE TRIGGER audit_messages_are_kept BEFORE UPDATE OF {', '.join(KEPT)} ON audit_messages {refusal}")


def guard_postgresql() -> None:
    """Create triggers that refuse to delete a row and to change any column but sent_at."""
    op.execute(
        "CREATE FUNCTION refuse_change_of_audit_messages() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REASON}'; END $$"
    )
    refusal = "EXECUTE FUNCTION refuse_change_of_audit_messages()"
    op.execute(f"CREATE TRIGGER audit_messages_stay BEFORE DELETE ON audit_messages FOR EACH ROW {refusal}")
    op.execute(
        "CREATE TRIGGER audit_messages_remain BEFORE TRUNCATE ON audit_messages EXECUTE FUNCTION "
        "refuse_change_of_audit_messages()"
    )
    op.execute(
        f"CREATE TRIGGER audit_messages_are_kept BEFORE UPDATE OF {', '.join(KEPT)} ON audit_messages "
        f"FOR EACH ROW {refusal}"
    )
