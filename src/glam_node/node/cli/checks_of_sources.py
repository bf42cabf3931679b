"""The checks of `doctor` for a source: TLS, queries, requests to send, and the way back of a C-MOVE."""

import ipaddress
import socket
from collections.abc import Iterator

from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_destinations import SPARE_S, check_tls
from glam_node.node.errors import NodeError
from glam_node.node.scu.echo import remote_ae_of
from glam_node.node.scu.web_peer import web_peer
from glam_node.settings.peers import PeerSettings
from glam_node.settings.reference import section_to_append
from glam_node.settings.schema import Settings
from glam_node.settings.sources import CMoveSettings, DicomSourceSettings, SourceSettings

_REMEDY = "Nothing can be fetched until this works."


def limit_s(source: SourceSettings) -> float:
    """Return how many seconds the checks of a source may take: several requests may each time out."""
    return SPARE_S + 5 * source.timeout


def check_source(name: str, settings: Settings) -> Iterator[Check]:
    """Check that a source shows a valid certificate, answers queries, and would send studies."""
    from glam_node.node.bootstrap import built_source

    source = settings.sources[name]
    if isinstance(source, DicomSourceSettings):
        tls, peer = (called := remote_ae_of(name, source, settings.node.ae_title)).tls, called
    else:
        tls, peer = (server := web_peer(name, source)).tls, server  # type: ignore[assignment]
    if tls is not None:
        check = check_tls(peer, tls)
        yield check
        if check.verdict is Verdict.FAIL:
            return
    try:
        yield Check(f"sources.{name}", Verdict.OK, built_source(name, settings).check())
    except NodeError as error:
        yield Check(f"sources.{name}", Verdict.FAIL, str(error), _REMEDY)
    if isinstance(source, CMoveSettings):
        yield _way_back(name, source, settings)


def _way_back(name: str, source: CMoveSettings, settings: Settings) -> Check:
    """Check that the node would admit the archive, which sends the images as a peer."""
    line = f"sources.{name} peer"
    admitted = [one for one, peer in settings.peers.items() if _admits(peer, source)]
    if admitted:
        return Check(line, Verdict.OK, f"peers.{admitted[0]} admits the archive, which sends to this node")
    section = section_to_append(f"peers.{name}", ae_title=source.ae_title, hosts=[source.host])
    fact = f"{source.ae_title} from {source.host} is not one of the peers, so this node would reject what it sends"
    return Check(line, Verdict.FAIL, fact, f"Add it at the end of the settings file:\n{section}")


def _admits(peer: PeerSettings, source: CMoveSettings) -> bool:
    """Return whether a peer may be the archive; a host name that has no address here is not judged."""
    if peer.ae_title != source.ae_title:
        return False
    try:
        found = socket.getaddrinfo(source.host, source.port, type=socket.SOCK_STREAM)
    except OSError:
        return True
    addresses = {ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found}
    networks = [ipaddress.ip_network(host, strict=False) for host in peer.hosts]
    return not networks or any(address in network for address in addresses for network in networks)
