"""Addresses of browsers behind reverse proxies, which the settings name."""

import ipaddress
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip", "via")


class BehindProxies:
    """Take the browser's address and scheme from the headers of a trusted proxy, and of nobody else.

    An address that is none, such as a forged text that a proxy has passed on, gives way to that of the proxy.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self._app = app
        trusted = [str(ipaddress.ip_network(one, strict=False)) for one in proxies]
        self._forwarded = ProxyHeadersMiddleware(self._checked, trusted)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request as that of the browser."""
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
    """Return the address as it is usually written, an IPv4 address in IPv6 as IPv4; empty for any other text."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_forwarded(request: Request) -> bool:
    """Return whether a proxy stands between this machine and the browser, as far as headers say."""
    return any(name in request.headers for name in _FORWARDED)


def is_encrypted(request: Request) -> bool:
    """Return whether the browser sent the request over TLS, to this console or to a trusted proxy."""
    return request.url.scheme == "https"


def address_of(request: Request) -> str:
    """Return the address of the browser, or of what stands before it."""
    return request.client.host if request.client is not None else ""
