"""The checks of `doctor` for AE titles, peers and the node's own receiver."""

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from glam_node.node.cli.checks import Check, Verdict, serving_process
from glam_node.node.errors import NodeError
from glam_node.settings.destinations import CStoreSettings
from glam_node.settings.peers import PeerSettings
from glam_node.settings.reference import section_to_append
from glam_node.settings.schema import Settings

LOOPBACK = "127.0.0.1"


def check_ae_titles(settings: Settings) -> Check:
    """Check that no other system has the AE title of this node, and that titles are in capitals."""
    ours, name = settings.node.ae_title, "AE titles"
    same = [f"peers.{one}" for one, peer in settings.peers.items() if peer.ae_title == ours]
    same += [f"destinations.{one}" for one, archive in settings.archives.items() if archive.ae_title == ours]
    if same:
        fact = f"{ours} is the title of this node and of {', '.join(same)}"
        return Check(name, Verdict.FAIL, fact, "Two systems cannot share a title. Set another node.ae_title.")
    titles = [ours, *(peer.ae_title for peer in settings.peers.values())]
    titles += [archive.ae_title for archive in settings.archives.values()]
    small = sorted({title for title in titles if title != title.upper()})
    if small:
        fact = f"{', '.join(small)} has lower-case letters, which many systems change when they send or compare them"
        return Check(name, Verdict.WARN, fact, "Write it as its own system writes it; capitals are safe.")
    if ours == type(settings.node)().ae_title:
        fact = f"{ours} is the default title of every glam-node"
        return Check(
            name,
            Verdict.WARN,
            fact,
            "This is fine for one node. A second node of this site needs its own node.ae_title.",
        )
    return Check(name, Verdict.OK, f"{ours} is the AE title of this node only")


def check_peers(settings: Settings) -> Check:
    """Check that the settings admit a peer, and only from known addresses."""
    if not settings.peers:
        section = section_to_append("peers.pacs", ae_title="PACS", hosts=["10.0.0.5"])
        remedy = f"Add the PACS at the end of the settings file:\n{section}"
        return Check("peers", Verdict.WARN, "no system may send to this node", remedy)
    open_to_all = [name for name, peer in settings.peers.items() if not peer.hosts]
    if open_to_all:
        fact = f"{', '.join(open_to_all)} may send from any address"
        return Check("peers", Verdict.WARN, fact, "List their addresses or networks in peers.NAME.hosts.")
    return Check("peers", Verdict.OK, f"{', '.join(settings.peers)} may send")


def check_canary(settings: Settings) -> Iterator[Check]:
    """Check that results of canaries go somewhere and that somebody is told of a failure; nothing without canaries."""
    canary, alerts = settings.canary, settings.alerts
    if not canary.every:
        return
    goes_to = ", ".join(f"destinations.{name}" for name in canary.destinations)
    fact = f"one every {canary.every:g} s, results to {goes_to or 'no destination'}"
    if not goes_to:
        remedy = "Name a destination in canary.destinations, so that canaries prove that results arrive."
        yield Check("canary", Verdict.WARN, fact, remedy)
    elif not (alerts.webhook_url or alerts.smtp_host):
        remedy = "Set [alerts], or watch glam_node_canary_last_success_seconds, so that somebody is told of a failure."
        yield Check("canary", Verdict.WARN, fact, remedy)
    else:
        yield Check("canary", Verdict.OK, fact)


def check_receiver(settings: Settings) -> Iterator[Check]:
    """Check that a running node answers C-ECHO, if a configured peer may call from this machine without TLS."""
    from glam_node.node.scu.echo import remote_ae_of, survey

    caller = next((peer for peer in settings.peers.values() if _may_call_from_here(peer)), None)
    if settings.tls.port is not None and not settings.tls.plain:
        return
    if caller is None or settings.node.port == 0 or not serving_process(settings.storage.root):
        return
    host = settings.node.local_host
    ourselves = CStoreSettings(
        ae_title=settings.node.ae_title, host=host, port=settings.node.port, results=(), timeout=5.0
    )
    peer = replace(remote_ae_of("node", ourselves, caller.ae_title), settings_section="node")
    try:
        survey(peer, ourselves)
    except NodeError as error:
        yield Check("C-ECHO", Verdict.FAIL, str(error), "See the log of `glam-node serve`.")
        return
    yield Check("C-ECHO", Verdict.OK, f"{peer} answers C-ECHO to {caller.ae_title}")


def _may_call_from_here(peer: PeerSettings) -> bool:
    if peer.certificates:
        return False
    address = ipaddress.ip_address(LOOPBACK)
    return not peer.hosts or any(address in ipaddress.ip_network(host, strict=False) for host in peer.hosts)
