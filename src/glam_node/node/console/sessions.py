"""Sessions of people who are signed in, and limits on attempts to sign in; both are lost when the console exits."""

import hashlib
import hmac
import secrets
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.proxies import is_encrypted
from glam_node.node.domain.account import Account

LIFETIME = timedelta(hours=8)
WINDOW = timedelta(minutes=5)
ATTEMPTS_OF_ADDRESS, ATTEMPTS_OF_NAME = 10, 10


RETURN_COOKIE = "glam_node_return"
"""The cookie with the path of the page that a browser asked for before it had to sign in."""
_RETURN_WITHIN = timedelta(minutes=10)
_LONGEST_RETURN = 2000


def is_asked_by_a_person(request: Request) -> bool:
    """Return whether a person made the request, and not a page that refreshes its live part or loads its pictures."""
    return "HX-Request" not in request.headers and not request.url.path.endswith(".png")


def page_address(request: Request) -> str:
    """Return path and query of the page that the browser asks for."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def set_cookie(
    response: Response,
    request: Request,
    name: str,
    value: str,
    lifetime: timedelta,
    *,
    path: str = "/",
    samesite: Literal["lax", "strict"] = "strict",
) -> None:
    """Set a cookie that scripts cannot read and that is Secure if the browser's request is encrypted."""
    response.set_cookie(
        name,
        value,
        max_age=int(lifetime.total_seconds()),
        path=path,
        secure=is_encrypted(request),
        httponly=True,
        samesite=samesite,
    )


def remember_page(response: Response, request: Request) -> Response:
    """Return the response with a cookie, so that signing in, also at a provider, leads back to this page."""
    page = page_address(request)
    if request.method == "GET" and is_asked_by_a_person(request) and page != "/" and len(page) <= _LONGEST_RETURN:
        set_cookie(response, request, RETURN_COOKIE, quote(page), _RETURN_WITHIN, samesite="lax")
    return response


def page_to_return_to(request: Request) -> str:
    """Return the path that `remember_page` stored, or "/"; never an address of another site."""
    page = unquote(request.cookies.get(RETURN_COOKIE, ""))
    is_path = page.startswith("/") and not page.startswith(("//", "/\\")) and page.isprintable()
    return page if is_path else "/"


@dataclass(frozen=True, slots=True)
class _SignedIn:
    account: Account
    until: datetime
    used_at: datetime
    id_token: str


@dataclass(frozen=True, slots=True)
class Flash:
    """The outcome of an action, to be shown once on the next page."""

    words: str
    good: bool = True


class FormTokens:
    """Tokens in forms against cross-site request forgery, derived from the cookie of the browser."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def form_token(self, token: str) -> str:
        """Return the form token for the browser's cookie `token`; no other site can know it."""
        return hmac.new(self._secret, token.encode(), "sha256").hexdigest()

    def is_form_token(self, token: str, given: str) -> bool:
        """Return whether `given` is the form token for the browser's cookie `token`."""
        return bool(token) and hmac.compare_digest(self.form_token(token).encode(), given.encode())


class Sessions(FormTokens):
    """Sessions by the random token in the browser's cookie; a session ends when it is not used for `idle`."""

    def __init__(self, idle: timedelta) -> None:
        super().__init__()
        self._idle = idle
        self._signed_in: dict[str, _SignedIn] = {}
        self._flashes: dict[str, Flash] = {}
        self._lock = threading.Lock()

    def begin(self, account: Account, now: datetime, id_token: str = "") -> str:
        """Start a session of eight hours and return its token; `id_token` is that of an OpenID provider."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._signed_in = {key: one for key, one in self._signed_in.items() if self._is_alive(one, now)}
            self._signed_in[_digest(token)] = _SignedIn(account, now + LIFETIME, now, id_token)
        return token

    def account(self, token: str, now: datetime, *, used: bool) -> Account | None:
        """Return the account as it was at signing in; None if the session does not exist or has ended.

        Args:
            token: The token in the browser's cookie.
            now: The current time.
            used: Whether the request counts as use and prolongs the session.
        """
        with self._lock:
            found = self._signed_in.get(_digest(token))
            if found is None or not self._is_alive(found, now):
                return None
            if used:
                self._signed_in[_digest(token)] = replace(found, used_at=now)
            return found.account

    def id_token(self, token: str) -> str:
        """Return the ID token with which the person signed in; empty if no provider was used."""
        found = self._signed_in.get(_digest(token))
        return found.id_token if found is not None else ""

    def _is_alive(self, one: _SignedIn, now: datetime) -> bool:
        return now < one.until and now < one.used_at + self._idle

    def end(self, token: str) -> None:
        """End the session."""
        with self._lock:
            self._signed_in.pop(_digest(token), None)
            self._flashes.pop(_digest(token), None)

    def leave_flash(self, token: str, flash: Flash) -> None:
        """Store a notice for the next page of the session."""
        with self._lock:
            self._flashes = {key: one for key, one in self._flashes.items() if key in self._signed_in}
            self._flashes[_digest(token)] = flash

    def take_flash(self, token: str) -> Flash | None:
        """Return and remove the stored notice."""
        with self._lock:
            return self._flashes.pop(_digest(token), None)


class Attempts:
    """Limits of attempts to sign in, for each address and each name."""

    def __init__(self) -> None:
        self._at: defaultdict[tuple[str, str], deque[datetime]] = defaultdict(deque)
        self._lock = threading.Lock()

    def may_try(self, address: str, name: str, now: datetime) -> bool:
        """Return whether another attempt is allowed, and count it if so."""
        limits = {("address", address): ATTEMPTS_OF_ADDRESS, ("name", name): ATTEMPTS_OF_NAME}
        with self._lock:
            self._forget(now)
            if any(len(self._at[key]) >= limit for key, limit in limits.items()):
                return False
            for key in limits:
                self._at[key].append(now)
            return True

    def succeeded(self, address: str, name: str) -> None:
        """Reset the counts of address and name after a correct password."""
        with self._lock:
            self._at.pop(("address", address), None)
            self._at.pop(("name", name), None)

    def _forget(self, now: datetime) -> None:
        for key, moments in list(self._at.items()):
            while moments and moments[0] <= now - WINDOW:
                moments.popleft()
            if not moments:
                del self._at[key]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
