"""Who may send to this node."""

import ipaddress
from itertools import combinations
from typing import Literal

from glam_node.settings.section import Section, contradiction
from glam_node.settings.tls import KnownCertificate
from glam_node.settings.values import AETitle, Name, Network


class PeerSettings(Section):
    """[peers.NAME]: one application entity that may send to us."""

    ae_title: AETitle
    """Its calling AE title."""
    hosts: tuple[Network, ...] = ()
    """Addresses or networks it may call from; empty: from anywhere."""
    priority: Literal["urgent", "screening", "backfill"] = "screening"
    """Which studies are analysed first; a study from several peers counts as its most urgent one."""
    destination: Name | Literal[""] = ""
    """The destination that is the same application: its requests for storage commitment are answered there."""
    certificates: tuple[KnownCertificate, ...] = ()
    """The TLS client certificates that it may show, by fingerprint, or by common or alternative name; empty:
    whatever [tls] lets in; not empty: it may not call without TLS."""


def _overlap(one: PeerSettings, other: PeerSettings) -> bool:
    """Whether some caller could be both."""
    if one.ae_title != other.ae_title:
        return False
    ours, theirs = ([ipaddress.ip_network(host, strict=False) for host in peer.hosts] for peer in (one, other))
    return not ours or not theirs or any(a.version == b.version and a.overlaps(b) for a in ours for b in theirs)


def distinct(peers: dict[str, PeerSettings]) -> dict[str, PeerSettings]:
    """The same peers. Raises a contradiction when a caller could be two of them."""
    for (first, one), (second, other) in combinations(peers.items(), 2):
        if _overlap(one, other):
            raise contradiction(
                f"{second}.ae_title",
                f'"{other.ae_title}" from the same hosts is peers.{first} already; leave one out or part their hosts',
            )
    return peers
