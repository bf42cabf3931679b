"""Console accounts: creation, removal and the check of passwords."""

import re
from datetime import datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from glam_node.node.db import accounts, audit
from glam_node.node.domain.account import Account, Actor, Role
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError

LEAST_PASSWORD, LONGEST_PASSWORD = 12, 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASHER = PasswordHasher()


def new_account(name: str, role: Role, password: str, *, may_see_identity: bool = False) -> Account:
    """Return an account with the hash of `password`.

    Raises:
        PermanentError: The name or the password does not meet the requirements.
    """
    if not _NAME.fullmatch(name):
        raise PermanentError(
            "An account name must have 1 to 64 letters, digits or . _ @ -, and must start with a letter or digit."
        )
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise PermanentError(
            f"The password of {name} has {counted(len(password), 'character')}: "
            f"give {LEAST_PASSWORD} to {LONGEST_PASSWORD}."
        )
    return Account(name, role, _HASHER.hash(password), may_see_identity)


def set_account(session: Session, account: Account, now: datetime, by: Actor | None = None) -> None:
    """Create the account or replace the one of the same name, and record it in the audit trail."""
    accounts.put(session, account, now)
    facts = _facts_of(account.name, by)
    facts |= {"role": str(account.role), "may_see_identity": account.may_see_identity}
    audit.record(session, EventKind.ACCOUNT_SET, now, **facts)


def remove_account(session: Session, name: str, now: datetime, by: Actor | None = None) -> None:
    """Remove the account, and record it in the audit trail.

    Raises:
        PermanentError: There is no account of that name.
    """
    if not accounts.remove(session, name):
        raise PermanentError(f"There is no account {name}. `glam-node console user add {name}` creates one.")
    audit.record(session, EventKind.ACCOUNT_REMOVED, now, **_facts_of(name, by))


def _facts_of(name: str, by: Actor | None) -> EventDetail:
    return EventDetail(account=name) if by is None else EventDetail(account=name, by=by.account, address=by.address)


def is_password(account: Account | None, password: str) -> bool:
    """Return whether `password` is that of the account; without an account, return False after the same time."""
    nobody = _hash_of_nobody()  # also for a known account, so that the first answer of a process takes equally long
    known = account.password_hash if account is not None else nobody
    try:
        return _HASHER.verify(known, password) and account is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    """Return the hash that the password of an unknown account is checked against."""
    return _HASHER.hash("nobody")
