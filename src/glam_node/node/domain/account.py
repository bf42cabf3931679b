"""Who may sign in to the console."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Look, and act."""


class Right(StrEnum):
    """What not everybody may who may look."""

    ACT = "act"
    """Change what becomes of a study, and ask destinations."""
    SEE_PATIENTS = "see_patients"
    """See names and ids."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in: by a password of ours, or by the word of an issuer."""

    name: str
    role: Role
    password_hash: str
    """Argon2id in the PHC format; empty where an issuer vouches."""
    may_see_identity: bool = False
    """See names and ids."""
    issuer: str = ""
    """Who vouches for it; empty: it is a local account."""

    @property
    def rights(self) -> frozenset[Right]:
        """What it may beyond looking."""
        acts = {Right.ACT} if self.role is Role.OPERATOR else set()
        return frozenset(acts | ({Right.SEE_PATIENTS} if self.may_see_identity else set()))
