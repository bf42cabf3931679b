"""Accounts of people whom an OpenID provider authenticated."""

from typing import Any

from glam_node.node.domain.account import Account, Role
from glam_node.node.errors import PermanentError
from glam_node.settings.console import OIDCSettings

PREFIX = "oidc:"
"""The prefix of their names, which no local account can have."""
_LONGEST_NAME = 64


def account_of(claims: dict[str, Any], settings: OIDCSettings) -> Account:
    """Return the account with the highest role that the groups in the claims give.

    Raises:
        PermanentError: The groups give no role.
    """
    name, groups = _name(claims, settings), _groups(claims, settings.roles_claim)
    if groups & set(settings.operators):
        role = Role.OPERATOR
    elif groups & set(settings.viewers):
        role = Role.VIEWER
    else:
        raise PermanentError(_nothing(name, groups, settings))
    return Account(
        name, role, "", may_see_identity=bool(groups & set(settings.see_patients)), issuer=settings.issuer or ""
    )


def _name(claims: dict[str, Any], settings: OIDCSettings) -> str:
    given = claims.get(settings.name_claim) or claims["sub"]
    words = "".join(character if character.isprintable() else "?" for character in str(given))
    return PREFIX + words[:_LONGEST_NAME]


def _groups(claims: dict[str, Any], path: str) -> set[str]:
    """Return the groups in the claim at `path`: one text or a list, perhaps nested in other claims ("a.b")."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for step in path.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, str):
        return {found}
    return {str(one) for one in found} if isinstance(found, list) else set()


def _nothing(name: str, groups: set[str], settings: OIDCSettings) -> str:
    told = (
        f"the claim {settings.roles_claim} has {len(groups)} groups, none of them"
        if groups
        else (f"the claim {settings.roles_claim} is missing or empty, so none")
    )
    return (
        f"{name.removeprefix(PREFIX)} has no role here: {told} is in console.oidc.viewers or "
        "console.oidc.operators. Have the provider put the person into one of these groups, or name another there."
    )
