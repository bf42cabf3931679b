"""Accounts of the console."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from glam_node.node.db.tables import AccountRow
from glam_node.node.domain.account import Account, Role


def put(session: Session, account: Account, now: datetime) -> None:
    """The account is as given, whether or not there was one of that name."""
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
    """There is no account of that name; whether there was one."""
    row = session.get(AccountRow, name)
    if row is not None:
        session.delete(row)
    return row is not None


def get(session: Session, name: str) -> Account | None:
    """The account, if there is one."""
    row = session.get(AccountRow, name)
    return None if row is None else Account(row.name, Role(row.role), row.password_hash, row.may_see_identity)


def list_all(session: Session) -> list[tuple[Account, datetime]]:
    """Return every account with the time of its last change, by name."""
    rows = session.scalars(select(AccountRow).order_by(AccountRow.name))
    return [
        (Account(row.name, Role(row.role), row.password_hash, row.may_see_identity), row.changed_at) for row in rows
    ]


def exist(session: Session) -> bool:
    """Whether there is any."""
    return session.scalars(select(AccountRow.name).limit(1)).first() is not None
