"""Accounts of the console, their roles and their rights."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Role of an account in the console."""

    VIEWER = "viewer"
    """The account may look at every page."""
    OPERATOR = "operator"
    """The account may also act on studies and query destinations."""


class Right(StrEnum):
    """Right that some accounts have in addition to looking at the pages."""

    ACT = "act"
    """The account may act on studies and query destinations."""
    SEE_PATIENTS = "see_patients"
    """The account may see patient names and IDs."""


@dataclass(frozen=True, slots=True)
class Account:
    """Account that signs in with a local password or through an OpenID provider."""

    name: str
    role: Role
    password_hash: str
    """Argon2id hash in the PHC format; empty for an account of an OpenID provider."""
    may_see_identity: bool = False
    """Permission to see patient names and IDs."""
    issuer: str = ""
    """Issuer identifier of the OpenID provider; empty for a local account."""

    @property
    def rights(self) -> frozenset[Right]:
        """Rights of the account in addition to looking at the pages."""
        acts = {Right.ACT} if self.role is Role.OPERATOR else set()
        return frozenset(acts | ({Right.SEE_PATIENTS} if self.may_see_identity else set()))
