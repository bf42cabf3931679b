"""Assigning authorities and references of orders, counts of HL7 messages, and rules that hold studies since before."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add columns and a table, which processes of an older version do not read, and name the holder of old holds."""
    op.add_column("imaging_orders", sa.Column("universal_id", sa.Text(), nullable=False, server_default=""))
    op.add_column("imaging_orders", sa.Column("reference", sa.String(16), nullable=False, server_default=""))
    op.create_table(
        "hospital_message_counts",
        sa.Column("message_type", sa.String(16), primary_key=True),
        sa.Column("code", sa.String(2), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    orders = sa.table("imaging_orders", sa.column("order_key"), sa.column("reference"))
    connection = op.get_bind()
    for key in connection.scalars(sa.select(orders.c.order_key)).all():
        row = sa.update(orders).where(orders.c.order_key == key)
        connection.execute(row.values(reference=secrets.token_hex(4)))
    _name_holders()


def _name_holders() -> None:
    """Record that a rule holds a study if its last hold names one; before schema 0024 holders were not recorded."""
    studies = sa.table("studies", *map(sa.column, ("study_instance_uid", "standing", "held_by")))
    events = sa.table("events", sa.column("event_id"), sa.column("event"), sa.column("study_instance_uid"))
    events.append_column(sa.column("detail", sa.JSON()))
    connection = op.get_bind()
    held = sa.and_(studies.c.standing == "HELD", studies.c.held_by == "")
    for uid in connection.scalars(sa.select(studies.c.study_instance_uid).where(held)).all():
        of_study = sa.and_(events.c.study_instance_uid == uid, events.c.event == "study_held")
        last = sa.select(events.c.detail).where(of_study).order_by(events.c.event_id.desc()).limit(1)
        if "rule" in (connection.scalar(last) or {}):
            row = sa.update(studies).where(studies.c.study_instance_uid == uid)
            connection.execute(row.values(held_by="rule"))
