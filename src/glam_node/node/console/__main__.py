"""The console's process, started by `python -m glam_node.node.console`."""

import gc

from glam_node.node.run.skipped_imports import skip_imports

if __name__ == "__main__":
    gc.disable()  # `main` enables it when the modules have been imported
    skip_imports("console")

import asyncio
import ssl
import threading
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from glam_node.node.console.app import create_console
from glam_node.node.console.connections import ACCEPTED_AT_ONCE, Guard, GuardedConnection
from glam_node.node.errors import PermanentError
from glam_node.node.run.process import Running, main
from glam_node.node.tls.contexts import CertificateFiles, server_context
from glam_node.node.tls.reloading import warn_of_dates
from glam_node.settings.console import ConsoleSettings

GRACE_S = 3


def run(running: Running) -> None:
    """Serve the console until asked to stop.

    Raises:
        PermanentError: The port is taken or may not be used.
    """
    chosen = running.settings.console
    app = create_console(running.live_node, chosen.host, encrypted=chosen.certificate is not None)
    encryption = None
    if chosen.certificate is not None:
        files = CertificateFiles("console", chosen.certificate, chosen.key)
        encryption = server_context(files, ssl.CERT_NONE)
        warn_of_dates(files, encryption)
    server = uvicorn.Server(configuration(app, chosen, encryption))
    thread = threading.Thread(target=_serve, args=(server, running.stop), name="console")
    thread.start()
    while not server.started and thread.is_alive():
        running.stop.wait(0.05)
    if not server.started:
        raise PermanentError(
            f"The console cannot listen on {chosen.host}, console.port {chosen.port}: the port is taken, or this user "
            "may not use it. Set another console.port."
        )
    running.ready(str(chosen.port))
    running.stop.wait()
    server.should_exit = True
    thread.join()


def configuration(app: ASGIApp, chosen: ConsoleSettings, encryption: ssl.SSLContext | None) -> uvicorn.Config:
    """Return uvicorn's configuration: connections are limited, and no header of a proxy is trusted."""
    guarded = partial(GuardedConnection, guard=Guard(encryption, chosen.trusted_proxies))
    return uvicorn.Config(
        app,
        chosen.host,
        chosen.port,
        http=cast(type[asyncio.Protocol], guarded),
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _serve(server: uvicorn.Server, stop: threading.Event) -> None:
    try:
        server.run()
    except SystemExit:  # raised by uvicorn if the port is in use
        return
    finally:
        stop.set()


if __name__ == "__main__":
    main("console", run)
