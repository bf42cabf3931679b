"""Sessions of people who are signed in to the console, by the digest of the token in the browser's cookie."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, update
from sqlalchemy.orm import Session

from glam_node.node.db.tables import SessionRow
from glam_node.node.domain.account import Account, Role, SignedIn


def add(session: Session, token_digest: str, signed_in: SignedIn) -> None:
    """Add a session."""
    account = signed_in.account
    session.add(
        SessionRow(
            token_digest=token_digest,
            name=account.name,
            role=account.role,
            password_digest=account.password_hash,
            may_see_identity=account.may_see_identity,
            issuer=account.issuer,
            until=signed_in.until,
            used_at=signed_in.used_at,
            id_token=signed_in.id_token,
        )
    )


def get(session: Session, token_digest: str) -> SignedIn | None:
    """Return the session; None if it does not exist."""
    row = session.get(SessionRow, token_digest)
    if row is None:
        return None
    account = Account(row.name, Role(row.role), row.password_digest, row.may_see_identity, row.issuer)
    return SignedIn(account, row.until, row.used_at, row.id_token)


def use(session: Session, token_digest: str, now: datetime) -> None:
    """Record that the person clicked at `now`."""
    session.execute(update(SessionRow).where(SessionRow.token_digest == token_digest).values(used_at=now))


def remove(session: Session, token_digest: str) -> None:
    """Remove the session."""
    session.execute(delete(SessionRow).where(SessionRow.token_digest == token_digest))


def remove_ended(session: Session, now: datetime, unused_since: datetime) -> None:
    """Remove the sessions whose time is over, and those that were not used after `unused_since`."""
    session.execute(delete(SessionRow).where(or_(SessionRow.until <= now, SessionRow.used_at <= unused_since)))


def remove_all(session: Session) -> None:
    """Remove every session."""
    session.execute(delete(SessionRow))


def leave_flash(session: Session, token_digest: str, flash: dict[str, Any] | None) -> None:
    """Store a notice for the next page of the session, or remove it."""
    session.execute(update(SessionRow).where(SessionRow.token_digest == token_digest).values(flash=flash))


def flash_of(session: Session, token_digest: str) -> dict[str, Any] | None:
    """Return the stored notice."""
    row = session.get(SessionRow, token_digest)
    return None if row is None else row.flash
