"""Signing in and out at the hospital's OpenID provider."""

import secrets
import threading
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from glam_node.node.console import oidc
from glam_node.node.console.door import COOKIE as SESSION_COOKIE
from glam_node.node.console.door import Door
from glam_node.node.console.proxies import is_encrypted
from glam_node.node.console.vouched import account_of
from glam_node.node.errors import NodeError, PermanentError
from glam_node.settings.console import OIDCSettings

COOKIE = "glam_node_oidc"
PATH = "/sign-in/oidc"
LIFETIME = timedelta(minutes=10)
AT_ONCE = 1000
_AGAIN = "This sign-in was not started in this browser, is complete, or took longer than ten minutes. Sign in again."


class NotBegun(PermanentError):
    """Error for a callback that matches no sign-in which this browser began."""


class OidcDoor:
    """The redirections to the provider and back."""

    def __init__(self, door: Door, settings: OIDCSettings) -> None:
        self._door = door
        self._settings = settings
        self._issuer = oidc.Issuer(settings)
        self._begun: dict[str, tuple[oidc.Request, str, datetime]] = {}
        self._lock = threading.Lock()

    async def begin(self, request: Request) -> Response:
        """Redirect the browser to the provider, or show the sign-in form with the failure."""
        return await run_in_threadpool(self._begin, request)

    async def callback(self, request: Request) -> Response:
        """Sign in the person who comes back from the provider, or show the sign-in form with the failure."""
        return await run_in_threadpool(self._callback, request)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser; if the provider authenticated it, lead the browser to sign out there too."""
        id_token = self._door.sessions.id_token(request.cookies.get(SESSION_COOKIE, ""))
        response = await self._door.sign_out(request)
        return await run_in_threadpool(self._sign_out_there, request, id_token) if id_token else response

    def _sign_out_there(self, request: Request, id_token: str) -> Response:
        try:
            url = self._issuer.sign_out_url(id_token)
        except NodeError:
            url = ""
        # The Content-Security-Policy forbids a form to redirect to another site; a page may lead there.
        return self._door.forget(request, self._door.go_on(request, url or "/sign-in?over=here"))

    def _begin(self, request: Request) -> Response:
        try:
            way = self._issuer.request()
        except NodeError as error:
            return self._door.not_let_in(request, str(error), 502)
        browser = secrets.token_urlsafe(24)
        now = self._door.now()
        with self._lock:
            alive = [(state, one) for state, one in self._begun.items() if one[2] > now]
            self._begun = dict(alive[-AT_ONCE + 1 :]) | {way.state: (way, browser, now + LIFETIME)}
        response = RedirectResponse(way.url, 303)
        # "Lax", because the provider's page on another site leads back here.
        response.set_cookie(
            COOKIE,
            browser,
            max_age=int(LIFETIME.total_seconds()),
            path=PATH,
            secure=is_encrypted(request),
            httponly=True,
            samesite="lax",
        )
        return response

    def _callback(self, request: Request) -> Response:
        name = ""
        try:
            vouched = self._vouched(request)
            claims = vouched.claims
            name = str(claims.get(self._settings.name_claim) or claims["sub"])
            account = account_of(claims, self._settings)
        except NotBegun as error:
            response = self._door.not_let_in(request, str(error), 400)
        except PermanentError as error:
            response = self._door.not_let_in(request, str(error), 403, name)
        except NodeError as error:
            response = self._door.not_let_in(request, str(error), 502, name)
        else:
            response = self._door.let_in(request, account, id_token=vouched.id_token)
        response.delete_cookie(COOKIE, PATH, secure=is_encrypted(request), httponly=True, samesite="lax")
        return response

    def _vouched(self, request: Request) -> oidc.Vouched:
        given = request.query_params
        with self._lock:
            begun = self._begun.pop(given.get("state", ""), None)
        if begun is None or begun[2] <= self._door.now() or not _is_same(begun[1], request.cookies.get(COOKIE, "")):
            raise NotBegun(_AGAIN)
        if given.get("iss", self._issuer.name) != self._issuer.name:
            raise PermanentError(f"The answer is not from {self._issuer.name}. Sign in again.")
        if "error" in given or not given.get("code"):
            said = given.get("error", "nothing")[:40]
            raise PermanentError(
                f"{self._issuer.name} did not let you in: it answered {said}. Sign in again; if that does not help, "
                f"ask its administrator whether this client may, and whether {self._issuer.redirect_uri} is registered."
            )
        return self._issuer.vouched(begun[0], given["code"])


def _is_same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
