"""Sessions of people who are signed in, and limits on attempts to sign in, which are lost when the console exits."""

import hashlib
import hmac
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote, unquote

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.proxies import is_encrypted
from glam_node.node.db import accounts, console_sessions
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.account import Account, SignedIn

log = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=8)
USE_PRECISION = 0.02
"""Share of the idle time within which a further click is not recorded."""
WINDOW = timedelta(minutes=5)
ATTEMPTS_OF_ADDRESS, ATTEMPTS_OF_NAME = 10, 10
_FORM = b"form of the glam-node console"

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
class Flash:
    """The outcome of an action, to be shown once on the next page."""

    words: str
    good: bool = True


def form_token(token: str) -> str:
    """Return the token in forms against cross-site request forgery, derived from the browser's cookie `token`.

    No other site can know it, since none can know the cookie; it does not reveal the cookie.
    """
    return hmac.new(_FORM, token.encode(), "sha256").hexdigest()


def is_form_token(token: str, given: str) -> bool:
    """Return whether `given` is the form token for the browser's cookie `token`."""
    return bool(token) and hmac.compare_digest(form_token(token).encode(), given.encode())


class Sessions:
    """Sessions by the random token in the browser's cookie; a session ends when it is not used for `idle`.

    They are in the database, which has only a digest of the token, so that they outlive the console's process.
    """

    def __init__(self, sessions: SessionFactory, idle: timedelta) -> None:
        self._write = sessions.begin
        self._read = reading(sessions)
        self._idle = idle

    def begin(self, account: Account, now: datetime, id_token: str = "") -> str:
        """Start a session of eight hours and return its token; `id_token` is that of an OpenID provider."""
        token = secrets.token_urlsafe(32)
        with self._write() as session:
            console_sessions.remove_ended(session, now, now - self._idle)
            signed_in = SignedIn(_sealed(account), now + LIFETIME, now, id_token)
            console_sessions.add(session, _digest(token), signed_in)
        return token

    def account(self, token: str, now: datetime, *, used: bool) -> Account | None:
        """Return the account; None if the session does not exist or has ended, also by a change of the account.

        Args:
            token: The token in the browser's cookie.
            now: The current time.
            used: Whether the request counts as use and prolongs the session.
        """
        with self._read() as session:
            found = console_sessions.get(session, _digest(token)) if token else None
            if found is None or not self._is_alive(found, now):
                return None
            present = accounts.get(session, found.account.name)
        # After a change of a local account, its owner must sign in again.
        if not found.account.issuer and (present is None or _sealed(present) != found.account):
            return None
        if used and now - found.used_at >= self._idle * USE_PRECISION:
            self._use(token, now)
        return found.account

    def _use(self, token: str, now: datetime) -> None:
        with self._unless_full("use_not_recorded") as session:
            console_sessions.use(session, _digest(token), now)

    @contextmanager
    def _unless_full(self, event: str) -> Iterator[Session]:
        """Open a session whose failure is only logged: pages stay readable while nothing can be written."""
        try:
            with self._write() as session:
                yield session
        except OperationalError as error:
            log.warning(event, failure=type(error).__name__)

    def id_token(self, token: str) -> str:
        """Return the ID token with which the person signed in; empty if no provider was used."""
        with self._read() as session:
            found = console_sessions.get(session, _digest(token))
        return found.id_token if found is not None else ""

    def _is_alive(self, one: SignedIn, now: datetime) -> bool:
        return now < one.until and now < one.used_at + self._idle

    def end(self, token: str) -> None:
        """End the session."""
        with self._write() as session:
            console_sessions.remove(session, _digest(token))

    def leave_flash(self, token: str, flash: Flash) -> None:
        """Store a notice for the next page of the session."""
        with self._write() as session:
            console_sessions.leave_flash(session, _digest(token), asdict(flash))

    def take_flash(self, token: str) -> Flash | None:
        """Return and remove the stored notice."""
        with self._read() as session:
            flash = console_sessions.flash_of(session, _digest(token))
        if flash is None:
            return None
        with self._unless_full("notice_not_removed") as session:
            console_sessions.leave_flash(session, _digest(token), None)
        return Flash(**flash)


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


def _sealed(account: Account) -> Account:
    """Return the account with a digest in place of its password hash, for comparison."""
    return replace(account, password_hash=_digest(account.password_hash))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
