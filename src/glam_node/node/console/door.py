"""Authentication and access control: signing in and out, and the rights to see pages and to act."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from glam_node.node.bootstrap import Node
from glam_node.node.console.passwords import Passwords
from glam_node.node.console.proxies import address_of, is_encrypted, is_forwarded
from glam_node.node.console.sessions import (
    LIFETIME,
    RETURN_COOKIE,
    WINDOW,
    Attempts,
    Sessions,
    is_asked_by_a_person,
    page_address,
    page_to_return_to,
    remember_page,
)
from glam_node.node.db import accounts, audit
from glam_node.node.db.engine import reading
from glam_node.node.domain.account import Account, Actor, Right, Role
from glam_node.node.domain.words import counted
from glam_node.node.workflow.operate.accounts import LONGEST_PASSWORD

COOKIE = "glam_node_console"
FORM_COOKIE = "glam_node_sign_in"
"""The cookie of a browser that shows the sign-in form. It is not the session cookie, which browsers withhold on a link
from another site to the form: a new cookie of the same name would end the session."""
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
LONGEST_FORM = 16 * LONGEST_PASSWORD
_STALE = "This form has expired. Go back, reload the page, and send the form again."
_AGAIN = "Your session has ended: unused for {minutes} minutes, eight hours old, or closed. {then}Sign in again."
_OVER = {
    "page": _AGAIN,
    "act": _AGAIN,
    "here": "You are signed out here, but not at {issuer}: this browser may still be signed in there.",
}
"""The notice above the sign-in form, by the query parameter `over`."""
_REFUSED = {
    Right.ACT: "This action requires the operator role: `glam-node console user add NAME --role operator`.",
    Right.SEE_PATIENTS: "Your account may not see names and IDs: `glam-node console user add NAME --identity`.",
}

_NO_PICTURES = {"Clear-Site-Data": '"cache"'}

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person who requests a page; the name is empty where no account is required."""

    name: str = ""
    role: Role = Role.VIEWER
    form_token: str = ""
    rights: frozenset[Right] = frozenset()
    address: str = ""

    def may(self, what: str) -> bool:
        """Return whether this visitor has the right."""
        return what in self.rights

    @property
    def actor(self) -> Actor:
        """The account and address to record with an action."""
        return Actor(self.name, self.address)


@dataclass(frozen=True, slots=True)
class _Known:
    account: Account | None


class Door:
    """Access control: people who are signed in, or, while there is no account, people at this machine, who may look."""

    def __init__(self, node: Node, templates: Jinja2Templates, *, local: bool, now: Callable[[], datetime]) -> None:
        self._node = node
        self._templates = templates
        self._local = local
        self._issuer = node.settings.console.oidc.issuer or ""
        self._attempts = Attempts()
        self._passwords = Passwords()
        self.now = now
        self._idle = timedelta(seconds=node.settings.console.idle_timeout)
        self.sessions = Sessions(self._idle)

    def guarded(self, page: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a page so that visitors who are not signed in are redirected to the sign-in form."""

        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._visitor, request)
            if visitor is None and request.headers.get("Sec-Fetch-Site") == "cross-site":
                # The browser withholds the cookie on a link from another site, and sends it on a link from this one.
                return self.go_on(request, page_address(request))
            if visitor is None:
                return _to_sign_in(request)
            request.state.visitor = visitor
            if is_asked_by_a_person(request):
                request.state.flash = self.sessions.take(request.cookies.get(COOKIE, ""))
            return await run_in_threadpool(page, request)

        return answer

    def acting(
        self, right: Right, act: Callable[[Request, Fields], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap an action so that it requires a form of this console and the right; refusals are audited."""

        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._visitor, request)
            if visitor is None:
                return _to_sign_in(request)
            request.state.visitor = visitor
            fields = await self._fields(request)
            if not visitor.may(right):
                await run_in_threadpool(self._refuse, request, visitor, right)
            return await run_in_threadpool(act, request, fields)

        return answer

    async def sign_in(self, request: Request) -> Response:
        """Show the sign-in form, or check one that was sent and start a session."""
        if not await run_in_threadpool(self._asks):
            raise HTTPException(404, "There is no account yet. Create one with `glam-node console user add NAME`.")
        if request.method != "POST":
            return await run_in_threadpool(self._form, request)
        fields = await self._fields(request, FORM_COOKIE)
        name, password = fields.get("name", ""), fields.get("password", "")
        known = await run_in_threadpool(self._may_try, request, name)
        if isinstance(known, Response):
            return known
        proved = await self._passwords.compare(known.account, password[:LONGEST_PASSWORD])
        return await run_in_threadpool(self._tried, request, name, known.account, proved)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        await self._fields(request)
        visitor = await run_in_threadpool(self._visitor, request)
        self.sessions.end(request.cookies[COOKIE])
        if visitor is not None and visitor.name:
            await run_in_threadpool(self._record, "signed_out", account=visitor.name, address=visitor.address)
        return self.forget(request, RedirectResponse("/sign-in", 303))

    def forget(self, request: Request, response: Response) -> Response:
        """Return the response, with headers that delete the session cookie and cached pictures."""
        response.headers.update(_NO_PICTURES)
        response.delete_cookie(COOKIE, secure=is_encrypted(request), httponly=True, samesite="strict")
        return response

    async def session(self, request: Request) -> Response:
        """Answer 204 while the session of this browser lasts, else 401; the request does not prolong the session."""
        visitor = await run_in_threadpool(self._visitor, request, used=False)
        return Response(status_code=204 if visitor is not None else 401)

    def let_in(self, request: Request, account: Account, *, id_token: str | None = None) -> Response:
        """Start a session with a new token, against session fixation, and lead to the page that was asked for.

        After a provider's redirection a page of this console comes between, or the browser would withhold the cookie.
        """
        self.sessions.end(request.cookies.get(COOKIE, ""))
        self._record("signed_in", address=address_of(request), account=account.name)
        page = page_to_return_to(request)
        response: Response = RedirectResponse(page, 303) if id_token is None else self.go_on(request, page)
        response.delete_cookie(RETURN_COOKIE, secure=is_encrypted(request), httponly=True, samesite="lax")
        self._give(request, response, COOKIE, self.sessions.begin(account, self.now(), id_token or ""))
        response.delete_cookie(FORM_COOKIE, "/sign-in", secure=is_encrypted(request), httponly=True, samesite="strict")
        return response

    def not_let_in(self, request: Request, failure: str, status: int, name: str = "") -> Response:
        """Show the form with the failure, and audit it, except status 400, which anybody could cause without limit."""
        if status == 400:
            return self._form(request, failure, status)
        facts = {"address": address_of(request), "account": "", "failure": failure}
        self._record("sign_in_refused", **facts, **({"person": name[:64]} if name else {}))
        return self._form(request, failure, status)

    def go_on(self, request: Request, target: str) -> Response:
        """Return a page that leads to `target`, so that the browser takes this site for the origin of the request."""
        return self._templates.TemplateResponse(request, "_actions_again.html", {"target": target})

    def _visitor(self, request: Request, *, used: bool = True) -> Visitor | None:
        token, address = request.cookies.get(COOKIE, ""), address_of(request)
        signed_in = self.sessions.account(token, self.now(), used=used and is_asked_by_a_person(request))
        with reading(self._node.sessions)() as session:
            if not self._issuer and not accounts.exist(session):
                if self._local and not is_forwarded(request):
                    return Visitor(address=address)
                raise HTTPException(404)
            present = signed_in
            if signed_in is not None and not signed_in.issuer:
                present = accounts.get(session, signed_in.name)
        # An account that was changed since must sign in again.
        if present is None or present != signed_in:
            return None
        return Visitor(present.name, present.role, self.sessions.form_token(token), present.rights, address)

    def _asks(self) -> bool:
        return bool(self._issuer) or self._has_accounts()

    def _has_accounts(self) -> bool:
        with reading(self._node.sessions)() as session:
            return accounts.exist(session)

    async def _fields(self, request: Request, cookie: str = COOKIE) -> dict[str, str]:
        """Return the fields of a form that was issued to this browser; raise HTTPException for any other form."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise HTTPException(413, "The form is too long.")
        fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if not self.sessions.is_form_token(request.cookies.get(cookie, ""), fields.get(FORM_TOKEN, "")):
            raise HTTPException(403, _STALE)
        return fields

    def _refuse(self, request: Request, visitor: Visitor, right: Right) -> None:
        """Audit the attempt and raise HTTPException."""
        uid = request.path_params.get("study_instance_uid", "")[:64]
        facts = {"act": request.url.path[-64:], "failure": "no right to", "account": visitor.name}
        self._record("act_refused", study_instance_uid=uid, address=visitor.address, **facts)
        raise HTTPException(403, _REFUSED[right])

    def _may_try(self, request: Request, name: str) -> "_Known | Response":
        """Return the account of that name, if any, or the response after too many attempts."""
        address = address_of(request)
        if not self._attempts.may_try(address, name, self.now()):
            self._record("sign_in_limited", address=address)
            minutes = int(WINDOW.total_seconds() // 60)
            response = self._form(request, f"Too many attempts. Try again in {counted(minutes, 'minute')}.", 429)
            response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
            return response
        with reading(self._node.sessions)() as session:
            return _Known(accounts.get(session, name))

    def _tried(self, request: Request, name: str, account: Account | None, proved: bool | None) -> Response:
        address = address_of(request)
        if proved is None:
            response = self._form(request, "Too many people are signing in at the moment. Try again.", 503)
            response.headers["Retry-After"] = "5"
            return response
        if account is None or not proved:
            # People may type a password into the name field: record only names of existing accounts.
            self._record("sign_in_refused", address=address, account=account.name if account is not None else "")
            return self._form(request, "Name or password is wrong.", 401)
        self._attempts.succeeded(address, name)
        return self.let_in(request, account)

    def _form(self, request: Request, trouble: str = "", status: int = 200) -> Response:
        token = request.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(32)
        shown = {
            "trouble": trouble,
            "over": self._over(request),
            "form_token": self.sessions.form_token(token),
            "issuer": self._issuer,
            "local_accounts": self._has_accounts(),
        }
        response = self._templates.TemplateResponse(request, "sign_in.html", shown, status_code=status)
        if FORM_COOKIE not in request.cookies:
            self._give(request, response, FORM_COOKIE, token, "/sign-in")
        return response

    def _over(self, request: Request) -> str:
        word = request.query_params.get("over", "")
        then = "Nothing was done. " if word == "act" else ""
        minutes = f"{self._idle.total_seconds() / 60:g}"
        return _OVER.get(word, "").format(minutes=minutes, then=then, issuer=self._issuer)

    def _give(self, request: Request, response: Response, cookie: str, token: str, path: str = "/") -> None:
        response.set_cookie(
            cookie,
            token,
            max_age=int(LIFETIME.total_seconds()),
            path=path,
            secure=is_encrypted(request),
            httponly=True,
            samesite="strict",
        )

    def _record(self, event: str, **detail: str) -> None:
        with self._node.sessions.begin() as session:
            audit.record(session, event, self.now(), **detail)


def _to_sign_in(request: Request) -> Response:
    """Redirect to the sign-in form, with a notice if the browser had a session."""
    over = ("?over=act" if request.method == "POST" else "?over=page") if COOKIE in request.cookies else ""
    return remember_page(RedirectResponse(f"/sign-in{over}", 303, _NO_PICTURES if over else None), request)
