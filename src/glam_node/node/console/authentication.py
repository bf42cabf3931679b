"""Authentication and access control: the visitor behind a request, and the rights to see pages and to act."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from glam_node.node.bootstrap import Node
from glam_node.node.console.proxies import address_of, is_encrypted, is_forwarded
from glam_node.node.console.sessions import (
    Sessions,
    form_token,
    is_asked_by_a_person,
    is_form_token,
    page_address,
    remember_page,
)
from glam_node.node.db import accounts, audit
from glam_node.node.db.engine import reading
from glam_node.node.domain.account import Actor, Right, Role
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.workflow.operate.accounts import LONGEST_PASSWORD

COOKIE = "glam_node_console"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
LONGEST_FORM = 16 * LONGEST_PASSWORD
_STALE = "This form has expired. Go back, reload the page, and send the form again."
_WITHOUT_RIGHT = {
    Right.ACT: ("the role operator", "--role operator", "operators"),
    Right.SEE_PATIENTS: ("the right to see names and IDs of patients", "--identity", "see_patients"),
}
"""The right in words, the option of `glam-node console user add`, and the key in [console.oidc]."""
_NO_PICTURES = {"Clear-Site-Data": '"cache"'}

Fields = Mapping[str, str]
FormHandler = Callable[[Request, Fields], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person who requests a page; the name is empty if no account is required."""

    name: str = ""
    role: Role = Role.VIEWER
    form_token: str = ""
    rights: frozenset[Right] = frozenset()
    address: str = ""
    issuer: str = ""
    """The OpenID provider of the account; empty for a local account, and if no account is required."""

    def may(self, what: str) -> bool:
        """Return whether this visitor has the right."""
        return what in self.rights

    @property
    def actor(self) -> Actor:
        """The account and address to record with an action."""
        return Actor(self.name, self.address)

    def require(self, right: Right) -> None:
        """Raise HTTPException (403) with the remedy, unless this visitor has the right."""
        if self.may(right):
            return
        words, option, key = _WITHOUT_RIGHT[right]
        remedy = (
            f"Ask the administrator of {self.issuer} to add you to a group in console.oidc.{key}."
            if self.issuer
            else f"Ask an administrator of this node for it: `glam-node console user add NAME {option}`."
        )
        raise HTTPException(403, f"This requires an account with {words}; nothing was done or shown. {remedy}")


class Authentication:
    """Access control: people must sign in; while there is no account, people at this machine may see the pages."""

    def __init__(self, node: Node, templates: Jinja2Templates, *, local: bool, now: Callable[[], datetime]) -> None:
        self._node = node
        self._templates = templates
        self._local = local
        self.issuer = node.settings.console.oidc.issuer or ""
        self.now = now
        self.sessions = Sessions(node.sessions, timedelta(seconds=node.settings.console.idle_timeout))

    def guarded(self, page: Callable[[Request], Response]) -> Endpoint:
        """Wrap a page so that visitors who are not signed in are redirected to the sign-in form."""

        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._visitor, request)
            if visitor is None and request.headers.get("Sec-Fetch-Site") == "cross-site":
                # The browser sends the cookie when it follows a link from this site, but not from another site.
                return self.page_leading_to(request, page_address(request))
            if visitor is None:
                return _to_sign_in(request)
            request.state.visitor = visitor
            if is_asked_by_a_person(request):
                token = request.cookies.get(COOKIE, "")
                request.state.flash = await run_in_threadpool(self.sessions.take_flash, token)
            return await run_in_threadpool(page, request)

        return answer

    def guarded_action(self, right: Right, handler: FormHandler) -> Endpoint:
        """Wrap an action so that it requires a form of this console and the right; refusals are audited."""

        async def answer(request: Request) -> Response:
            visitor = await run_in_threadpool(self._visitor, request)
            if visitor is None:
                return _to_sign_in(request)
            request.state.visitor = visitor
            fields = await self.fields(request)
            if not visitor.may(right):
                await run_in_threadpool(self._refuse, request, visitor, right)
            return await run_in_threadpool(handler, request, fields)

        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        await self.fields(request)
        visitor = await run_in_threadpool(self._visitor, request)
        await run_in_threadpool(self.sessions.end, request.cookies[COOKIE])
        if visitor is not None and visitor.name:
            await run_in_threadpool(self.record, EventKind.SIGNED_OUT, account=visitor.name, address=visitor.address)
        return self.without_session(request, RedirectResponse("/sign-in", 303))

    async def session(self, request: Request) -> Response:
        """Answer 204 while the session of this browser lasts, else 401; the request does not prolong the session."""
        visitor = await run_in_threadpool(self._visitor, request, used=False)
        return Response(status_code=204 if visitor is not None else 401)

    def without_session(self, request: Request, response: Response) -> Response:
        """Return the response, with headers that delete the session cookie and cached pictures."""
        response.headers.update(_NO_PICTURES)
        response.delete_cookie(COOKIE, secure=is_encrypted(request), httponly=True, samesite="strict")
        return response

    def page_leading_to(self, request: Request, target: str) -> Response:
        """Return a page that leads to `target`, so that the browser sees this site as the origin of the request."""
        return self._templates.TemplateResponse(request, "redirect.html", {"target": target})

    async def fields(self, request: Request, cookie: str = COOKIE) -> dict[str, str]:
        """Return the fields of a form that was issued to this browser.

        Args:
            request: The request with the form.
            cookie: The name of the cookie to which the form token belongs.

        Raises:
            HTTPException: The form was issued to another browser or has expired (403), or is too long (413).
        """
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise HTTPException(413, "The form is too long.")
        fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if not is_form_token(request.cookies.get(cookie, ""), fields.get(FORM_TOKEN, "")):
            raise HTTPException(403, _STALE)
        return fields

    def has_accounts(self) -> bool:
        """Return whether there are local accounts."""
        with reading(self._node.sessions)() as session:
            return accounts.exist(session)

    def record(self, kind: EventKind, /, *, study_instance_uid: str = "", **detail: Unpack[EventDetail]) -> None:
        """Record an event in the audit trail."""
        with self._node.sessions.begin() as session:
            audit.record(session, kind, self.now(), study_instance_uid=study_instance_uid, **detail)

    def _visitor(self, request: Request, *, used: bool = True) -> Visitor | None:
        token, address = request.cookies.get(COOKIE, ""), address_of(request)
        with reading(self._node.sessions)() as session:
            if not self.issuer and not accounts.exist(session):
                if self._local and not is_forwarded(request):
                    return Visitor(address=address)
                raise HTTPException(404)
        account = self.sessions.account(token, self.now(), used=used and is_asked_by_a_person(request))
        if account is None:
            return None
        return Visitor(account.name, account.role, form_token(token), account.rights, address, account.issuer)

    def _refuse(self, request: Request, visitor: Visitor, right: Right) -> None:
        """Audit the attempt and raise HTTPException."""
        uid = request.path_params.get("study_instance_uid", "")[:64]
        facts = EventDetail(address=visitor.address, account=visitor.name)
        facts |= {"act": request.url.path[-64:], "failure": f"the account does not have {_WITHOUT_RIGHT[right][0]}"}
        self.record(EventKind.ACT_REFUSED, study_instance_uid=uid, **facts)
        visitor.require(right)


def _to_sign_in(request: Request) -> Response:
    """Redirect to the sign-in form, with a notice if the browser had a session."""
    over = ("?over=act" if request.method == "POST" else "?over=page") if COOKIE in request.cookies else ""
    return remember_page(RedirectResponse(f"/sign-in{over}", 303, _NO_PICTURES if over else None), request)
