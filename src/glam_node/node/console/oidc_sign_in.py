"""Signing in and out at the hospital's OpenID provider, and the accounts of people who use it."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from glam_node.node.console import oidc
from glam_node.node.console.authentication import COOKIE as SESSION_COOKIE
from glam_node.node.console.proxies import is_encrypted
from glam_node.node.console.sessions import set_cookie
from glam_node.node.console.sign_in import SignIn
from glam_node.node.domain.account import Account, Role
from glam_node.node.domain.words import counted
from glam_node.node.errors import NodeError, PermanentError
from glam_node.settings.console import OIDCSettings

COOKIE = "glam_node_oidc"
"""The cookie with the sign-in that a browser has started, so that a restart of the console does not end it."""
PATH = "/sign-in/oidc"
LIFETIME = timedelta(minutes=10)
MOST_ASKING = 16
"""The number of sign-ins that may wait for the provider at once, so that a slow one does not hold up the pages."""
PREFIX = "oidc:"
"""The prefix of the names of accounts that a provider authenticated; no local account can have it."""
_LONGEST_NAME = 64
_TOO_MANY = "Too many people wait for the provider at the moment. Try again."
_AGAIN = "This sign-in was not started in this browser, is complete, or took longer than ten minutes. Sign in again."


class NotStarted(PermanentError):
    """Error for a callback that belongs to no sign-in of this browser."""


class OidcSignIn:
    """The redirections to the provider and back."""

    def __init__(self, sign_in: SignIn, settings: OIDCSettings) -> None:
        self._sign_in = sign_in
        self._authentication = sign_in.authentication
        self._settings = settings
        self._waiting = 0

    async def begin(self, request: Request) -> Response:
        """Redirect the browser to the provider, or show the sign-in form with the failure."""
        return await self._asking(self._begin, request)

    async def callback(self, request: Request) -> Response:
        """Sign in the person who comes back from the provider, or show the sign-in form with the failure."""
        return await self._asking(self._callback, request)

    async def _asking(self, step: Callable[[Request], Response], request: Request) -> Response:
        """Run a step that asks the provider, or refuse it if too many others wait for the provider."""
        if self._waiting >= MOST_ASKING:
            return await run_in_threadpool(self._sign_in.refuse, request, _TOO_MANY, 503)
        self._waiting += 1
        try:
            return await run_in_threadpool(step, request)
        finally:
            self._waiting -= 1

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser; if the provider authenticated it, lead the browser to sign out there too."""
        token = request.cookies.get(SESSION_COOKIE, "")
        id_token = await run_in_threadpool(self._authentication.sessions.id_token, token)
        response = await self._authentication.sign_out(request)
        return await run_in_threadpool(self._sign_out_at_provider, request, id_token) if id_token else response

    def _sign_out_at_provider(self, request: Request, id_token: str) -> Response:
        try:
            url = oidc.Client(self._settings).sign_out_url(id_token)
        except NodeError:
            url = ""
        # The Content-Security-Policy forbids a form to redirect to another site; a page may lead there.
        page = self._authentication.page_leading_to(request, url or "/sign-in?over=here")
        return self._authentication.without_session(request, page)

    def _begin(self, request: Request) -> Response:
        try:
            authorization = oidc.Client(self._settings).authorization_request()
        except NodeError as error:
            return self._sign_in.refuse(request, str(error), 502)
        until = int((self._authentication.now() + LIFETIME).timestamp())
        started = f"{authorization.state}.{authorization.nonce}.{authorization.code_verifier}.{until}"
        response = RedirectResponse(authorization.url, 303)
        # "Lax", because the provider's page on another site leads back here.
        set_cookie(response, request, COOKIE, started, LIFETIME, path=PATH, samesite="lax")
        return response

    def _callback(self, request: Request) -> Response:
        name = ""
        try:
            person = self._person(request)
            claims = person.claims
            name = str(claims.get(self._settings.name_claim) or claims["sub"])
            account = account_of(claims, self._settings)
        except NotStarted as error:
            response = self._sign_in.refuse(request, str(error), 400)
        except PermanentError as error:
            response = self._sign_in.refuse(request, str(error), 403, name)
        except NodeError as error:
            response = self._sign_in.refuse(request, str(error), 502, name)
        else:
            response = self._sign_in.start_session(request, account, id_token=person.id_token)
        response.delete_cookie(COOKIE, PATH, secure=is_encrypted(request), httponly=True, samesite="lax")
        return response

    def _person(self, request: Request) -> oidc.Person:
        given, authorization = request.query_params, self._started(request)
        client = oidc.Client(self._settings)
        if given.get("iss", client.issuer) != client.issuer:
            raise PermanentError(f"The answer is not from {client.issuer}. Sign in again.")
        if "error" in given or not given.get("code"):
            said = given.get("error", "nothing")[:40]
            raise PermanentError(
                f"{client.issuer} did not let you in: it answered {said}. Sign in again; if that does not help, "
                f"ask its administrator whether this client may, and whether {client.redirect_uri} is registered."
            )
        return client.authenticate(authorization, given["code"])

    def _started(self, request: Request) -> oidc.Request:
        """Return the authorization request that this browser has sent. Raises NotStarted."""
        state, nonce, code_verifier, until = (request.cookies.get(COOKIE, "").split(".") + [""] * 4)[:4]
        is_alive = until.isdecimal() and len(until) < 12 and int(until) > self._authentication.now().timestamp()
        if not (is_alive and state) or not _is_same(state, request.query_params.get("state", "")):
            raise NotStarted(_AGAIN)
        return oidc.Request("", state, nonce, code_verifier)


def _is_same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


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
        raise PermanentError(_no_role(name, groups, settings))
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


def _no_role(name: str, groups: set[str], settings: OIDCSettings) -> str:
    reason = (
        f"the claim {settings.roles_claim} has {counted(len(groups), 'group')}, none of which"
        if groups
        else (f"the claim {settings.roles_claim} is missing or empty, so none")
    )
    return (
        f"{name.removeprefix(PREFIX)} has no role here: {reason} is in console.oidc.viewers or console.oidc.operators. "
        "Have the provider put the person into one of these groups, or add a group of the person there."
    )
