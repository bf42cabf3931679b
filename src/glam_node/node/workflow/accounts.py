"""Accounts of the console: made, removed, proved by their password."""

import re
from datetime import datetime
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from glam_node.node.db import accounts, audit
from glam_node.node.domain.account import Account, Role
from glam_node.node.domain.order import Actor
from glam_node.node.errors import PermanentError

LEAST_PASSWORD, LONGEST_PASSWORD = 12, 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASHER = PasswordHasher()
# What the password of a name that is not there is compared with, so that it takes as long.
_NOBODY = _HASHER.hash("nobody")


def new_account(name: str, role: Role, password: str, *, may_see_identity: bool = False) -> Account:
    """With the hash of the password. Raises PermanentError for a name or password that cannot be one."""
    if not _NAME.fullmatch(name):
        raise PermanentError(
            "An account's name has 1 to 64 letters, digits and . _ @ -, and starts with a letter or digit."
        )
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise PermanentError(
            f"The password of {name} has {len(password)} characters: give {LEAST_PASSWORD} to {LONGEST_PASSWORD}."
        )
    return Account(name, role, _HASHER.hash(password), may_see_identity)


def set_account(session: Session, account: Account, now: datetime, by: Actor | None = None) -> None:
    """The account is as given, whether or not there was one of that name, and its setting is on record."""
    accounts.put(session, account, now)
    facts: dict[str, Any] = {
        "account": account.name,
        "role": str(account.role),
        "may_see_identity": account.may_see_identity,
    }
    audit.record(session, "account_set", now, **facts, **_facts_of(by))


def remove_account(session: Session, name: str, now: datetime, by: Actor | None = None) -> None:
    """Nobody may sign in by that name any more. Raises PermanentError when nobody could."""
    if not accounts.remove(session, name):
        raise PermanentError(f"There is no account {name}. `glam-node console user add {name}` makes one.")
    audit.record(session, "account_removed", now, account=name, **_facts_of(by))


def _facts_of(by: Actor | None) -> dict[str, str]:
    return {} if by is None else {"by": by.account, "address": by.address}


def is_password(account: Account | None, password: str) -> bool:
    """Whether it is the account's; False, as slowly, where there is no account."""
    known = account.password_hash if account is not None else _NOBODY
    try:
        return _HASHER.verify(known, password) and account is not None
    except (VerificationError, InvalidHashError):
        return False
