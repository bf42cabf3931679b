"""The console as a process of the node."""

import ssl
import threading

import uvicorn

from glam_node.node.console.app import create_console
from glam_node.node.errors import PermanentError
from glam_node.node.run.process import Running, main
from glam_node.node.tls.contexts import Files, server_context

GRACE_S = 3


def run(running: Running) -> None:
    """Answer until asked to stop. Raises PermanentError when the port cannot be had."""
    chosen = running.settings.console
    app = create_console(running.live_node, chosen.host, encrypted=chosen.certificate is not None)
    config = uvicorn.Config(
        app, chosen.host, chosen.port, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S
    )
    if chosen.certificate is not None:
        config.load()
        config.ssl = server_context(Files("console", chosen.certificate, chosen.key), ssl.CERT_NONE)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_serve, args=(server, running.stop), name="console")
    thread.start()
    while not server.started and thread.is_alive():
        running.stop.wait(0.05)
    if not server.started:
        raise PermanentError(f"console.port {chosen.port} on {chosen.host} cannot be had. Set another console.port.")
    running.ready(str(chosen.port))
    running.stop.wait()
    server.should_exit = True
    thread.join()


def _serve(server: uvicorn.Server, stop: threading.Event) -> None:
    try:
        server.run()
    except SystemExit:  # uvicorn's word for a port that is taken
        return
    finally:
        stop.set()


if __name__ == "__main__":
    main("console", run)
