"""Limits of connections to the console: their number in total and per address, and the time for a request."""

import asyncio
import ipaddress
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from glam_node.node.console.proxies import plain_address
from glam_node.node.tls.reloading import ReloadingContext

MOST, MOST_OF_ADDRESS = 400, 64
ACCEPTED_AT_ONCE = 128
"""Length of the listen queue: small, so that new and counted connections together fit into 1,024 open files."""
HEADER_S = 10.0
"""Seconds from the start of a connection, or of its next request, to the end of the request header."""
BODY_S = 30.0
"""Seconds that may pass between two parts of the request body."""


class Guard:
    """The open connections. If there are too many, in total or from one address, the longest inactive one is closed."""

    def __init__(self, encryption: ReloadingContext | None, proxies: Sequence[str]) -> None:
        self.encryption = encryption
        self.is_draining = False
        """Whether another process accepts new connections, and the open ones get only the answers that they await."""
        self._proxies = [ipaddress.ip_network(one, strict=False) for one in proxies]
        self._open: OrderedDict[GuardedConnection, str] = OrderedDict()

    def admit(self, connection: "GuardedConnection", address: str) -> None:
        """Register an open connection; close the longest inactive ones if a limit is reached."""
        source = self._source(address)
        of_source = [one for one, other in self._open.items() if other == source] if source else []
        for oldest, most in ((of_source, MOST_OF_ADDRESS), (list(self._open), MOST)):
            if len(oldest) >= most:
                self.forget(oldest[0])
                oldest[0].end()
        self._open[connection] = source

    def active(self, connection: "GuardedConnection") -> None:
        """Record that a complete request arrived over the connection."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def forget(self, connection: "GuardedConnection") -> None:
        """Remove a connection that is closed."""
        self._open.pop(connection, None)

    def _source(self, text: str) -> str:
        """Return the IPv4 address or IPv6 /64 network that is counted; empty for a proxy, which has no limit."""
        plain = plain_address(text)
        if not plain:
            return text
        address = ipaddress.ip_address(plain)
        if any(address in network for network in self._proxies):
            return ""
        return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else plain


class GuardedConnection(H11Protocol):
    """A connection with time limits for requests, which uvicorn lacks; encrypted if the guard has a TLS context."""

    def __init__(self, *, guard: Guard, **given: Any) -> None:
        super().__init__(**given)
        self._guard = guard
        self._socket: asyncio.Transport | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._early = b""
        self._is_open = False
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve a new connection, after the TLS handshake if TLS is configured."""
        self._socket = transport
        peer = transport.get_extra_info("peername")
        self.connections.add(self)
        self._guard.admit(self, peer[0] if peer else "")
        self._wait(HEADER_S)
        if self._guard.encryption is None:
            self._open(transport)
            return
        # asyncio's own TLS server reports a connection only after its handshake: too late to count and time it.
        transport.pause_reading()
        self._handshake = self.loop.create_task(self._encrypt(transport, self._guard.encryption.current()))

    async def _encrypt(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        encrypted: asyncio.Transport | None = None
        with suppress(OSError):  # includes ssl.SSLError
            encrypted = await self.loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=HEADER_S
            )
        if encrypted is None or transport.is_closing():
            self._closed()
            transport.abort()
            return
        self._open(encrypted)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _open(self, transport: asyncio.Transport) -> None:
        self._is_open = True
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes, and limit the time until a request is complete."""
        if not self._is_open:
            self._early += data
            return
        if self._limit is None and (self.cycle is None or self.cycle.response_complete):
            self._wait(HEADER_S)
        super().data_received(data)
        if self._guard.is_draining and self.cycle is not None and self.cycle.keep_alive:
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]
        if self.cycle is None or self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._wait(BODY_S)
        else:
            self._stop_waiting()
            self._guard.active(self)

    def shutdown(self) -> None:
        """Close the connection after the answer in progress; when draining, a request on its way is answered, too."""
        awaits_request = not self._is_open or self.cycle is None or self.cycle.response_complete
        if not (self._guard.is_draining and awaits_request):
            super().shutdown() if self._is_open else self.end()

    def eof_received(self) -> None:
        """Close the connection when the browser has closed its side."""
        if self._is_open:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop timing and counting the closed connection."""
        self._closed()
        if self._is_open:
            super().connection_lost(exc)

    def end(self) -> None:
        """Close the connection at once."""
        if self._socket is not None:
            self._socket.abort()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._limit = self.loop.call_later(seconds, self.end)

    def _stop_waiting(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _closed(self) -> None:
        self._stop_waiting()
        self.connections.discard(self)
        self._guard.forget(self)
