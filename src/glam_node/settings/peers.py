"""Settings of [peers.NAME]."""

import ipaddress
from itertools import combinations
from typing import Literal

from glam_node.settings.section import Section, contradiction
from glam_node.settings.tls import KnownCertificate
from glam_node.settings.values import AETitle, DestinationName, Network


class PeerSettings(Section):
    """[peers.NAME]: one application entity that may send to this node."""

    ae_title: AETitle
    """Calling AE title of the peer."""
    hosts: tuple[Network, ...] = ()
    """Addresses or networks from which the peer may call; empty: any."""
    priority: Literal["urgent", "screening", "backfill"] = "screening"
    """Priority of the peer's studies: urgent ones are analysed before screening and backfill. A study from several
    peers has the most urgent of their priorities."""
    destination: DestinationName = ""
    """Name of the destination that is the same application; the node answers the peer's storage commitment requests
    there."""
    certificates: tuple[KnownCertificate, ...] = ()
    """TLS client certificates that the peer may present, by fingerprint, or by common or alternative name; empty: every
    certificate that [tls] accepts. If the list is not empty, the peer must use TLS."""


def _overlap(one: PeerSettings, other: PeerSettings) -> bool:
    """Return whether the same caller could match both peers."""
    if one.ae_title != other.ae_title:
        return False
    ours, theirs = ([ipaddress.ip_network(host, strict=False) for host in peer.hosts] for peer in (one, other))
    return not ours or not theirs or any(a.version == b.version and a.overlaps(b) for a in ours for b in theirs)


def distinct(peers: dict[str, PeerSettings]) -> dict[str, PeerSettings]:
    """Return the peers unchanged; raise a contradiction if the same caller could match two of them."""
    for (first, one), (second, other) in combinations(peers.items(), 2):
        if _overlap(one, other):
            raise contradiction(
                f"{second}.ae_title",
                f'"{other.ae_title}" from the same hosts is already peers.{first}; remove one, or separate their hosts',
            )
    return peers
