"""Who may sign in to the console."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Look, and act."""


@dataclass(frozen=True, slots=True)
class Account:
    """A local account."""

    name: str
    role: Role
    password_hash: str
    """Argon2id in the PHC format."""
