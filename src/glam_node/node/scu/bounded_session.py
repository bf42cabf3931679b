"""Sessions of `requests` with a limit for whole answers; the timeout of `requests` limits only the wait for a byte."""

import socket
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool

from glam_node.node.scu.answer_timeouts import ended_after
from glam_node.node.scu.tls import PeerTLS


def bound_answers(session: requests.Session, seconds: float, tls: PeerTLS | None = None) -> None:
    """Let every exchange of a session, with the body of its answer, end within `seconds`, or else with ReadTimeout.

    Args:
        session: The session.
        seconds: The limit.
        tls: The TLS settings of the only server that the session calls; None for the certificates that `requests`
            trusts.

    Raises:
        TransientError: The certificate files of `tls` cannot be used.
    """
    adapter = _BoundedAdapter(seconds) if tls is None else _PinnedAdapter(seconds, tls)
    session.mount("https://", adapter)
    session.mount("http://", adapter)


class _BoundedAdapter(HTTPAdapter):
    """An adapter that closes its connections if a whole answer takes too long."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        try:
            with ended_after(self._seconds, lambda: list(self._sockets)):
                answer = super().send(request, *args, **options)
                answer.content  # noqa: B018  read the body within the limit
        except TimeoutError as error:
            raise requests.ReadTimeout("timed out", request=request) from error
        return answer

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **options)
        known, plain = self._sockets, type(pool).ConnectionCls

        class Connection(plain):  # type: ignore[misc, valid-type]
            """A connection that registers its sockets with the adapter, so that the adapter can close them."""

            def _new_conn(self) -> socket.socket:
                # A proxy answers on this socket before TLS begins.
                opened: socket.socket = super()._new_conn()
                known.add(opened)
                return opened

            def connect(self) -> None:
                super().connect()
                known.add(self.sock)

        pool.ConnectionCls = Connection
        return pool


class _PinnedAdapter(_BoundedAdapter):
    """An adapter whose connections use the TLS settings of one server, and no other authorities."""

    def __init__(self, seconds: float, tls: PeerTLS) -> None:
        self._context, self._server_name = tls.context(), tls.server_name
        super().__init__(seconds)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, server_hostname=self._server_name, **options)

    def cert_verify(self, conn: Any, *args: Any, **options: Any) -> None:  # noqa: ARG002 - the context decides
        # `requests` would add its own authorities to the context.
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None
