"""Addresses of browsers, including browsers behind the reverse proxies that `console.trusted_proxies` names."""

import ipaddress
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip", "via")


class BehindProxies:
    """ASGI middleware that takes the browser's address and scheme from the headers of a trusted proxy only.

    A header without a valid address, such as a forged text that a proxy has passed on, is ignored: the address of the
    proxy itself is used.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self._app = app
        trusted = [str(ipaddress.ip_network(one, strict=False)) for one in proxies]
        self._forwarded = ProxyHeadersMiddleware(self._checked, trusted)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the address and scheme of the browser."""
        client = scope.get("client")
        if client is not None:
            scope["client"] = scope["connection"] = (plain_address(client[0]) or client[0], client[1])
        await self._forwarded(scope, receive, send)  # type: ignore[arg-type]

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is not None:
            address = plain_address(client[0])
            scope["client"] = (address, client[1]) if address else scope["connection"]
        await self._app(scope, receive, send)


def plain_address(text: str) -> str:
    """Return the address in its usual form, with an IPv4-mapped IPv6 address as IPv4; empty if it is not an address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_forwarded(request: Request) -> bool:
    """Return whether headers show that the request came through a proxy."""
    return any(name in request.headers for name in _FORWARDED)


def is_encrypted(request: Request) -> bool:
    """Return whether the browser sent the request over TLS, to this console or to a trusted proxy."""
    return request.url.scheme == "https"


def address_of(request: Request) -> str:
    """Return the address of the browser, or of an untrusted proxy in front of it."""
    return request.client.host if request.client is not None else ""
