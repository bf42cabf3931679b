"""The console's process."""

import asyncio
import socket
import ssl
import threading
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from glam_node.node.console.app import create_console
from glam_node.node.console.connections import ACCEPTED_AT_ONCE, Guard, GuardedConnection
from glam_node.node.run.listening_sockets import console_sockets
from glam_node.node.run.process import Running, run_process
from glam_node.node.run.process_lifecycle import inherited_sockets
from glam_node.node.tls.contexts import CertificateFiles, server_context
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.settings.console import ConsoleSettings

GRACE_S = 3
"""Seconds that open requests have to end when the node stops."""
DRAIN_S = 600
"""Seconds that open requests have to end, such as downloads, when another process serves the next ones."""


def run(running: Running) -> None:
    """Serve the console until asked to stop.

    Raises:
        PermanentError: The port is taken or may not be used, or the certificate cannot be used.
    """
    chosen = running.settings.console
    app = create_console(running.node, chosen.host, encrypted=chosen.certificate is not None)
    encryption = None
    if chosen.certificate is not None:
        files = CertificateFiles("console", chosen.certificate, chosen.key)
        encryption = ReloadingContext(files, partial(server_context, client_certificate=ssl.CERT_NONE))
        encryption.current()
    sockets = inherited_sockets() or console_sockets(chosen)
    guard = Guard(encryption, chosen.trusted_proxies)
    server = uvicorn.Server(configuration(app, chosen, guard))
    thread = threading.Thread(target=_serve, args=(server, sockets, running.stop), name="console")
    thread.start()
    while not server.started and thread.is_alive():
        running.stop.wait(0.05)
    running.ready(str(chosen.port))
    threading.Thread(target=_drain, args=(server, guard, running), name="drain", daemon=True).start()
    running.stop.wait()
    server.should_exit, server.force_exit = True, guard.is_draining
    thread.join()


def _drain(server: uvicorn.Server, guard: Guard, running: Running) -> None:
    """Wait for SIGHUP, then accept no more connections, and exit when the open ones have got their answers."""
    running.drain.wait()
    guard.is_draining = True
    server.config.timeout_graceful_shutdown = DRAIN_S
    server.should_exit = True


def configuration(app: ASGIApp, chosen: ConsoleSettings, guard: Guard) -> uvicorn.Config:
    """Return uvicorn's configuration: connections are limited, and no header of a proxy is trusted."""
    guarded = partial(GuardedConnection, guard=guard)
    return uvicorn.Config(
        app,
        chosen.host,
        chosen.port,
        http=cast(type[asyncio.Protocol], guarded),
        ws="none",
        lifespan="off",
        backlog=ACCEPTED_AT_ONCE,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _serve(server: uvicorn.Server, sockets: list[socket.socket], stop: threading.Event) -> None:
    try:
        server.run(sockets)
    finally:
        stop.set()


def main() -> None:
    """Run the console until SIGTERM or SIGINT."""
    run_process("console", run)
