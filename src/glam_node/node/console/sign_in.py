"""The sign-in form: passwords of local accounts, limits on attempts, and the start of a session."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from glam_node.node.bootstrap import Node
from glam_node.node.console.authentication import COOKIE, Authentication
from glam_node.node.console.proxies import address_of, is_encrypted
from glam_node.node.console.sessions import (
    LIFETIME,
    RETURN_COOKIE,
    WINDOW,
    Attempts,
    form_token,
    page_to_return_to,
    set_cookie,
)
from glam_node.node.db import accounts
from glam_node.node.db.engine import reading
from glam_node.node.domain.account import Account
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.words import counted
from glam_node.node.workflow.operate.accounts import LONGEST_PASSWORD, is_password

FORM_COOKIE = "glam_node_sign_in"
"""The cookie of a browser that shows the sign-in form. It is not the session cookie, which browsers withhold on a link
from another site to the form: a new cookie of the same name would end the session."""
MOST_COMPARISONS = 16
"""The number of passwords that may wait for comparison."""
_AGAIN = "Your session has ended: unused for {idle}, eight hours old, or closed. {then}Sign in again."
_NOTICES = {
    "page": _AGAIN,
    "act": _AGAIN,
    "here": "You are signed out here, but not at {issuer}: this browser may still be signed in there.",
}
"""The notice above the sign-in form, by the query parameter `over`."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: Account | None


class Passwords:
    """A separate thread for password comparisons, each of which needs 64 MiB and at least a tenth of a second."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "password")
        self._waiting = 0

    async def compare(self, account: Account | None, password: str) -> bool | None:
        """Return whether `password` is that of the account; None if too many comparisons are waiting."""
        if self._waiting >= MOST_COMPARISONS:
            return None
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, is_password, account, password)
        finally:
            self._waiting -= 1


class SignIn:
    """The sign-in form, which also shows failures at an OpenID provider."""

    def __init__(self, node: Node, templates: Jinja2Templates, authentication: Authentication) -> None:
        self.authentication = authentication
        self._node = node
        self._templates = templates
        self._attempts = Attempts()
        self._passwords = Passwords()

    async def answer(self, request: Request) -> Response:
        """Show the sign-in form, or check one that was sent and start a session.

        Raises:
            HTTPException: There is neither a local account nor a provider (404).
        """
        if not await run_in_threadpool(self._is_required):
            raise HTTPException(404, "There is no account yet. Create one with `glam-node console user add NAME`.")
        if request.method != "POST":
            return await run_in_threadpool(self._form, request)
        fields = await self.authentication.fields(request, FORM_COOKIE)
        name, password = fields.get("name", ""), fields.get("password", "")
        known = await run_in_threadpool(self._admit_attempt, request, name)
        if isinstance(known, Response):
            return known
        is_correct = await self._passwords.compare(known.account, password[:LONGEST_PASSWORD])
        return await run_in_threadpool(self._answer_attempt, request, name, known.account, is_correct)

    def start_session(self, request: Request, account: Account, *, id_token: str | None = None) -> Response:
        """Start a session with a new token, against session fixation, and redirect to the requested page.

        After a provider's redirection, a page of this console is shown first, so that the browser sends the cookie.

        Args:
            request: The request that proved who the person is.
            account: The person's account.
            id_token: The ID token, if an OpenID provider authenticated the person.
        """
        sessions = self.authentication.sessions
        sessions.end(request.cookies.get(COOKIE, ""))
        self.authentication.record(EventKind.SIGNED_IN, address=address_of(request), account=account.name)
        page = page_to_return_to(request)
        response: Response = (
            RedirectResponse(page, 303) if id_token is None else self.authentication.page_leading_to(request, page)
        )
        response.delete_cookie(RETURN_COOKIE, secure=is_encrypted(request), httponly=True, samesite="lax")
        token = sessions.begin(account, self.authentication.now(), id_token or "")
        set_cookie(response, request, COOKIE, token, LIFETIME)
        response.delete_cookie(FORM_COOKIE, "/sign-in", secure=is_encrypted(request), httponly=True, samesite="strict")
        return response

    def refuse(self, request: Request, failure: str, status: int, name: str = "") -> Response:
        """Show the form with the failure, and audit it, except 400 and 503, which anybody could cause without limit.

        Args:
            request: The request that failed.
            failure: The message for the person and the audit trail.
            status: The HTTP status.
            name: The name of the person, if known.
        """
        if status in (400, 503):
            return self._form(request, failure, status)
        facts = EventDetail(address=address_of(request), account="", failure=failure)
        if name:
            facts["person"] = name[:64]
        self.authentication.record(EventKind.SIGN_IN_REFUSED, **facts)
        return self._form(request, failure, status)

    def _is_required(self) -> bool:
        return bool(self.authentication.issuer) or self.authentication.has_accounts()

    def _admit_attempt(self, request: Request, name: str) -> "_Known | Response":
        """Return the account of that name, if any, or the response after too many attempts."""
        address = address_of(request)
        if not self._attempts.may_try(address, name, self.authentication.now()):
            self.authentication.record(EventKind.SIGN_IN_LIMITED, address=address)
            minutes = int(WINDOW.total_seconds() // 60)
            response = self._form(request, f"Too many attempts. Try again in {counted(minutes, 'minute')}.", 429)
            response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
            return response
        with reading(self._node.sessions)() as session:
            return _Known(accounts.get(session, name))

    def _answer_attempt(
        self, request: Request, name: str, account: Account | None, is_correct: bool | None
    ) -> Response:
        address = address_of(request)
        if is_correct is None:
            response = self._form(request, "Too many people are signing in at the moment. Try again.", 503)
            response.headers["Retry-After"] = "5"
            return response
        if account is None or not is_correct:
            # People may type a password into the name field: record only names of existing accounts.
            recorded = account.name if account is not None else ""
            self.authentication.record(EventKind.SIGN_IN_REFUSED, address=address, account=recorded)
            return self._form(request, "Name or password is wrong.", 401)
        self._attempts.succeeded(address, name)
        return self.start_session(request, account)

    def _form(self, request: Request, trouble: str = "", status: int = 200) -> Response:
        token = request.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(32)
        shown = {
            "trouble": trouble,
            "notice": self._notice(request),
            "form_token": form_token(token),
            "issuer": self.authentication.issuer,
            "local_accounts": self.authentication.has_accounts(),
        }
        response = self._templates.TemplateResponse(request, "sign_in.html", shown, status_code=status)
        if FORM_COOKIE not in request.cookies:
            set_cookie(response, request, FORM_COOKIE, token, LIFETIME, path="/sign-in")
        return response

    def _notice(self, request: Request) -> str:
        reason = request.query_params.get("over", "")
        then = "Nothing was done. " if reason == "act" else ""
        minutes = self._node.settings.console.idle_timeout / 60
        idle = f"{minutes:g} minute{'' if minutes == 1 else 's'}"
        return _NOTICES.get(reason, "").format(idle=idle, then=then, issuer=self.authentication.issuer)
