"""Accounts of the console."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from glam_node.node.db.tables import AccountRow
from glam_node.node.domain.account import Account, Role


def put(session: Session, account: Account, now: datetime) -> None:
    """Add the account, or replace the account of the same name."""
    session.merge(
        AccountRow(
            name=account.name,
            role=account.role,
            password_hash=account.password_hash,
            may_see_identity=account.may_see_identity,
            changed_at=now,
        )
    )


def remove(session: Session, name: str) -> bool:
    """Remove the account and return whether it existed."""
    row = session.get(AccountRow, name)
    if row is not None:
        session.delete(row)
    return row is not None


def get(session: Session, name: str) -> Account | None:
    """Return the account; None if there is no account of that name."""
    row = session.get(AccountRow, name)
    return None if row is None else Account(row.name, Role(row.role), row.password_hash, row.may_see_identity)


def list_all(session: Session) -> list[tuple[Account, datetime]]:
    """Return every account with the time of its last change, sorted by name."""
    rows = session.scalars(select(AccountRow).order_by(AccountRow.name))
    return [
        (Account(row.name, Role(row.role), row.password_hash, row.may_see_identity), row.changed_at) for row in rows
    ]


def exist(session: Session) -> bool:
    """Return whether there is any account."""
    return session.scalars(select(AccountRow.name).limit(1)).first() is not None
