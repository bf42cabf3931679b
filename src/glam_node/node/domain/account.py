"""Accounts of the console with their rights, and the orders that people give for studies."""

from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Session of a person who is signed in to the console."""

    account: Account
    """Account as it was at signing in, with a digest in place of the password hash."""
    until: datetime
    """Time at which the session ends in any case."""
    used_at: datetime
    """Time of the last click."""
    id_token: str = ""
    """ID token of the OpenID provider; empty for a local account."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Person who gives an order, for the audit trail."""

    account: str
    """Account of the console; on the command line, the user of the operating system."""
    address: str
    """Network address of the browser; on the command line, the name of the host."""


@dataclass(frozen=True, slots=True)
class Order:
    """Order of one person for one study."""

    study_instance_uid: str
    actor: Actor
    at: datetime
    reason: str = ""
    """Reason in the person's own words."""
    seen: "SeenStudy | None" = None
    """The study as the person saw it; None if the person acts on the study as it is."""


@dataclass(frozen=True, slots=True)
class SeenStudy:
    """Study as a page showed it to a person."""

    version: int
    """`Study.version` at that time; the order is refused if it is another now."""
    words: str
    """Description of the study at that time, for the message to the person."""
