"""The console's HTTP application: metrics and health for monitoring, pages for people."""

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.console import action_routes, destinations, error_pages, queue, refusals, studies, study, summary
from glam_node.node.console.authentication import Authentication, Endpoint
from glam_node.node.console.health import checks
from glam_node.node.console.metrics_collector import NodeCollector
from glam_node.node.console.proxies import BehindProxies
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.rules_page import RulesPage
from glam_node.node.console.sign_in import SignIn
from glam_node.node.db import accounts
from glam_node.node.db.engine import reading
from glam_node.node.domain.account import Right
from glam_node.node.errors import PermanentError

_STATIC = Path(__file__).parent / "static"
MONITORS = 4
_LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}


def accounts_page(renderer: Renderer, request: Request) -> Response:
    """Show the local accounts.

    Raises:
        HTTPException: The visitor is not an operator (403).
    """
    request.state.visitor.require(Right.ACT)
    with renderer.sessions() as session:
        return renderer.render(
            request, "accounts", accounts=accounts.list_all(session), issuer=renderer.node.settings.console.oidc.issuer
        )


Page = Callable[[Renderer, Request], Response]
PAGES: dict[str, Page] = {
    "/": studies.page,
    "/destinations": destinations.page,
    "/queue": queue.page,
    "/refusals": refusals.page,
    "/studies.csv": studies.table,
    "/accounts": accounts_page,
    "/studies/{study_instance_uid}": study.page,
    "/studies/{study_instance_uid}/summary": summary.page,
    "/studies/{study_instance_uid}/results.zip": study.results,
    "/studies/{study_instance_uid}/{sop_instance_uid}/{layer}.png": study.view,
}
"""The functions that render the pages, by path."""


def is_local(host: str) -> bool:
    """Return whether only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def create_console(
    node: Node, host: str, *, encrypted: bool = False, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """Return the application: /metrics, /healthz and /readyz for anybody, pages for people who are signed in.

    While there is no account, people at this machine see the pages, provided that only this machine can reach `host`.

    Args:
        node: The node that the console shows.
        host: The address on which the console will listen.
        encrypted: Whether connections use TLS.
        now: The clock.

    Raises:
        PermanentError: There are accounts, and passwords would cross a network in plain text.
    """
    local = is_local(host)
    with reading(node.sessions)() as session:
        if accounts.exist(session) or node.settings.console.oidc.issuer:
            refuse_plain_text(host, encrypted)
    renderer = Renderer(node, now)
    chosen = node.settings.console
    is_open = local and not chosen.trusted_proxies
    authentication = Authentication(node, renderer.templates, local=is_open, now=now)

    def guarded(page: Page) -> Endpoint:
        return authentication.guarded(partial(_page, renderer, page))

    middleware = [
        Middleware(BehindProxies, proxies=chosen.trusted_proxies),
        Middleware(_WithHeaders),
    ]
    if local:
        # Against DNS rebinding: refuse requests to names other than those of this machine.
        names = [*_LOCAL_NAMES, *chosen.host_names, urlsplit(chosen.oidc.public_url or "").hostname or "localhost"]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    routes = [*_monitoring(node, now), Mount("/static", StaticFiles(directory=_STATIC))]
    if local or encrypted:
        sign_in = SignIn(node, renderer.templates, authentication)
        routes += [
            Route("/sign-in", sign_in.answer, methods=["GET", "POST"]),
            Route("/session", authentication.session),
            Route("/rules", guarded(RulesPage().page), methods=["GET", "POST"]),
            *[Route(path, guarded(page)) for path, page in PAGES.items()],
            *action_routes.routes(renderer, sign_in),
        ]
    handlers = dict.fromkeys(error_pages.HANDLED, partial(error_pages.error_page, renderer))
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


def refuse_plain_text(host: str, encrypted: bool) -> None:
    """Raise PermanentError if passwords would cross a network in plain text."""
    if not (encrypted or is_local(host)):
        raise PermanentError(
            f"console.host {host} can be reached by other machines, and passwords of accounts would go there in plain "
            'text. Set console.certificate and console.key, or console.host = "127.0.0.1".'
        )


def _page(renderer: Renderer, page: Page, request: Request) -> Response:
    with database_trouble(renderer.node.settings):
        return page(renderer, request)


def _monitoring(node: Node, now: Callable[[], datetime]) -> list[BaseRoute]:
    """Return the routes for monitoring, which require no account."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(node, now))

    # Separate threads, so that slow pages and pictures do not delay monitoring.
    threads = CapacityLimiter(MONITORS)

    async def metrics(_: Request) -> Response:
        text = await to_thread.run_sync(generate_latest, registry, limiter=threads)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        found = await to_thread.run_sync(checks, node, limiter=threads)
        body = {check.name: {"ok": check.ok, "fact": check.fact} for check in found}
        return JSONResponse(body, status_code=200 if all(check.ok for check in found) else 503)

    return [Route("/metrics", metrics), Route("/healthz", alive), Route("/readyz", ready)]


class _WithHeaders:
    """ASGI middleware that adds the headers of every response.

    Starlette's BaseHTTPMiddleware would end a response that fails midway as if it were complete.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _HEADERS | (_OVER_TLS if scope.get("scheme") == "https" else {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in headers.items():
                    given.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
