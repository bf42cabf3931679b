"""The process that takes HL7 messages of the hospital, and fetches the studies of orders."""

import ipaddress
import ssl
import threading
from collections.abc import Callable

from glam_node.node.bootstrap import built_source, database_trouble, study_fetcher
from glam_node.node.bootstrap.hospital import hospital_messages
from glam_node.node.db.writer import Writer
from glam_node.node.run.listening_sockets import hl7_sockets
from glam_node.node.run.process import Running, repeat, run_process
from glam_node.node.run.process_lifecycle import inherited_sockets
from glam_node.node.scp.hl7_listener import HL7Listener
from glam_node.node.tls.contexts import CertificateFiles, server_context
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.node.workflow.operate.order_fetches import OrderFetches
from glam_node.node.workflow.receive.refusals import Refusals
from glam_node.settings.hl7 import HL7ListenerSettings

LOOK_INTERVAL_S = 1.0
"""Time between two looks at the database for orders whose studies are to be looked for."""
_POLL_S = 0.25


def run(running: Running) -> None:
    """Take messages until asked to stop, or, after SIGHUP, until a successor has the port.

    Raises:
        PermanentError: The port is taken or may not be used, or the certificate cannot be used.
    """
    chosen = running.settings.hl7
    context = _tls(chosen)
    writer = Writer(running.node.sessions)
    answers = hospital_messages(running.node, Refusals(writer).record)
    networks = [ipaddress.ip_network(host, strict=False) for host in chosen.hosts]
    listener = HL7Listener(inherited_sockets() or hl7_sockets(chosen), context, _admitting(networks), answers)
    ending = threading.Event()
    fetches = threading.Thread(target=_fetch, args=(running, ending), name="orders", daemon=True)
    try:
        listener.start()
        fetches.start()
        running.ready(str(chosen.port))
        while not (running.stop.is_set() or running.drain.wait(_POLL_S)):
            continue
        ending.set()
        listener.stop()
        # A study that is being fetched is fetched to its end, unless the node stops: then the next process goes on.
        while fetches.is_alive() and not running.stop.is_set():
            fetches.join(_POLL_S)
    finally:
        writer.stop()


def _fetch(running: Running, ending: threading.Event) -> None:
    """Fetch the studies of orders until `ending` is set."""
    chosen, node = running.settings.hl7, running.node
    if not chosen.fetch_from:
        return
    with study_fetcher(chosen.fetch_from, node) as fetcher:
        source = built_source(chosen.fetch_from, node.settings)
        fetches = OrderFetches(source, fetcher, node.sessions, chosen.fetch_interval, chosen.assigning_authority)

        def look() -> None:
            with database_trouble(node.settings):
                while not ending.is_set() and (rest_s := fetches.look()) is not None:
                    ending.wait(rest_s)

        repeat(look, every_s=LOOK_INTERVAL_S, stop=ending)


def _admitting(networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Callable[[str], bool]:
    def admits(address: str) -> bool:
        known = ipaddress.ip_address(address.partition("%")[0])
        return not networks or any(known in network for network in networks)

    return admits


def _tls(chosen: HL7ListenerSettings) -> ReloadingContext | None:
    if chosen.certificate is None:
        return None
    files = CertificateFiles("hl7", chosen.certificate, chosen.key, chosen.ca)
    mode = ssl.CERT_NONE if chosen.ca is None else ssl.CERT_REQUIRED
    context = ReloadingContext(files, lambda given: server_context(given, mode), for_one_connection=True)
    context.current()
    return context


def main() -> None:
    """Run the process until SIGTERM or SIGINT."""
    run_process("hl7", run)
