"""The HTTP application: metrics and health for monitoring, pages for people."""

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from glam_node.node.bootstrap import Node
from glam_node.node.console.door import Door
from glam_node.node.console.health import checks
from glam_node.node.console.measure import NodeCollector
from glam_node.node.console.pages import picture
from glam_node.node.db import accounts, studies
from glam_node.node.db.engine import reading
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.description import describe, summary

_HERE = Path(__file__).parent
_SHOWN = 100
_THUMBNAIL, _LARGE = 480, 1600
_LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def is_local(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def create_console(
    node: Node, host: str, *, encrypted: bool = False, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """/metrics, /healthz and /readyz for anybody; pages for those who are signed in.

    While there is no account, pages are there where only this machine can reach `host`, for whoever sits at it.
    Raises PermanentError when there are accounts and passwords would go over a network in plain text.
    """
    local = is_local(host)
    with reading(node.sessions)() as session:
        if accounts.exist(session):
            refuse_plain_text(host, encrypted)
    console = _Console(node, now)
    door = Door(node, console.templates, local=local, encrypted=encrypted, now=now)
    routes = [
        Route("/metrics", console.metrics),
        Route("/healthz", console.alive),
        Route("/readyz", console.ready),
    ]
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=_with_headers)]
    if local:
        # A page of another site that names itself as this machine gets nothing (DNS rebinding).
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL_NAMES))
    if local or encrypted:
        routes += [
            Route("/sign-in", door.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", door.sign_out, methods=["POST"]),
            Route("/", door.guarded(console.studies)),
            Route("/studies/{study_instance_uid}", door.guarded(console.study)),
            Route("/studies/{study_instance_uid}/{sop_instance_uid}.png", door.guarded(console.view)),
        ]
    static = Mount("/static", StaticFiles(directory=_HERE / "static"))
    return Starlette(routes=[*routes, static], middleware=middleware)


def refuse_plain_text(host: str, encrypted: bool) -> None:
    """Nothing, where passwords can be asked for. Raises PermanentError where a network would carry them as they are."""
    if not (encrypted or is_local(host)):
        raise PermanentError(
            f"console.host {host} can be reached by other machines, and passwords of accounts would go there in plain "
            'text. Set console.certificate and console.key, or console.host = "127.0.0.1".'
        )


async def _with_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


class _Console:
    """The answers; plain functions, which Starlette runs in threads of their own."""

    def __init__(self, node: Node, now: Callable[[], datetime]) -> None:
        self._node = node
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(NodeCollector(node, now))
        self.templates = Jinja2Templates(directory=_HERE / "templates")

    def metrics(self, _: Request) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def alive(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    def ready(self, _: Request) -> Response:
        found = checks(self._node)
        body = {check.name: {"ok": check.ok, "fact": check.fact} for check in found}
        return JSONResponse(body, status_code=200 if all(check.ok for check in found) else 503)

    def studies(self, request: Request) -> Response:
        with reading(self._node.sessions)() as session:
            rows = [summary(study) for study in studies.recent(session, _SHOWN)]
            counts = {str(state): count for state, count in studies.counts_by_state(session).items()}
        return self.templates.TemplateResponse(request, "studies.html", {"studies": rows, "counts": counts})

    def study(self, request: Request) -> Response:
        uid = request.path_params["study_instance_uid"]
        with reading(self._node.sessions)() as session:
            study = studies.get(session, uid)
        if study is None:
            raise HTTPException(404, "This study is not known here.")
        described = describe(study, reading(self._node.sessions), self._node.store.root)
        return self.templates.TemplateResponse(request, "study.html", {"study": described})

    def view(self, request: Request) -> Response:
        uids = request.path_params["study_instance_uid"], request.path_params["sop_instance_uid"]
        png = picture(self._node, *uids, _LARGE if "large" in request.query_params else _THUMBNAIL)
        if png is None:
            raise HTTPException(404, "There is no picture of this image.")
        return Response(png, media_type="image/png")
