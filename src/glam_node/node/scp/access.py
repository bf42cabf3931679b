"""Access control of associations, and the settings that would admit a peer that was rejected."""

import ipaddress
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from glam_node.node.domain.event import EventDetail
from glam_node.node.tls.certificates import PeerCertificate
from glam_node.settings.peers import PeerSettings
from glam_node.settings.reference import section_to_append
from glam_node.settings.schema import NodeSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# PS3.8 Table 9-21: result, source and reason of a permanent rejection by the service user
CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)


@dataclass(frozen=True, slots=True)
class Caller:
    """The other end of a connection."""

    address: str
    certificate: PeerCertificate | None = None
    """The certificate that the peer presented in a TLS handshake; None if it presented none."""
    wrong_port: "Rejection | None" = None
    """The rejection of every association on a connection to the wrong port; None if the port is right."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The rejection of an association: the code that is sent to the peer, and the reason and the remedy in words."""

    result: tuple[int, int, int]
    """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    reason: str
    remedy: str
    """The change that would admit the peer, in the settings of this node or at the sender."""
    certificate: PeerCertificate | None = None
    """The certificate that the peer presented; None if it presented none."""

    @property
    def facts(self) -> EventDetail:
        """The facts for the event `association_rejected`, from which `is_settled` judges the rejection later."""
        facts = EventDetail(reason=self.reason, remedy=self.remedy, rejection=list(self.result))
        if self.certificate is not None:
            facts["certificate"] = self.certificate.fingerprint
            facts["certificate_names"] = sorted(self.certificate.names)
        return facts


def admission(
    calling_ae_title: str, called_ae_title: str, caller: Caller, node: NodeSettings, peers: Mapping[str, PeerSettings]
) -> Rejection | None:
    """Return the rejection of an association request, or None if the association may be opened.

    Args:
        calling_ae_title: The AE title of the peer.
        called_ae_title: The AE title that the peer called.
        caller: The address and the certificate of the peer.
        node: The present [node] settings.
        peers: The present [peers] settings by name.

    Raises:
        ValueError: The address is not an IP address.
    """
    if caller.wrong_port is not None:
        return caller.wrong_port
    rejection = _rejection(calling_ae_title, called_ae_title, caller, node, peers)
    return replace(rejection, certificate=caller.certificate) if rejection is not None else None


def _rejection(
    calling_ae_title: str, called_ae_title: str, caller: Caller, node: NodeSettings, peers: Mapping[str, PeerSettings]
) -> Rejection | None:
    address = _parsed_address(caller.address)
    known = {name: peer for name, peer in peers.items() if _matches(peer, calling_ae_title, address)}
    if not known:
        reason = f"{calling_ae_title!r} at {address} is not one of the peers that may send"
        return Rejection(CALLING_AE_TITLE_NOT_RECOGNIZED, reason, _remedy(calling_ae_title, address, peers))
    if not any(_is_proven(peer, caller.certificate) for peer in known.values()):
        return _certificate_rejection(calling_ae_title, address, caller.certificate, next(iter(known)))
    if node.require_called_ae_title and called_ae_title != node.ae_title:
        reason = f"{calling_ae_title!r} at {address} called {called_ae_title!r}, this node is {node.ae_title!r}"
        remedy = f"at the sender, call {node.ae_title}; or set node.ae_title = {json.dumps(called_ae_title)}"
        return Rejection(CALLED_AE_TITLE_NOT_RECOGNIZED, reason, remedy)
    return None


def is_settled(refused: Mapping[str, object], node: NodeSettings, peers: Mapping[str, PeerSettings]) -> bool:
    """Return whether the present settings admit the peer of a recorded rejection.

    Args:
        refused: The detail of an event `association_rejected`. An event that was recorded before version 1.0 has no
            `rejection` and is never settled.
        node: The present [node] settings.
        peers: The present [peers] settings.
    """
    if refused.get("rejection") not in (list(CALLING_AE_TITLE_NOT_RECOGNIZED), list(CALLED_AE_TITLE_NOT_RECOGNIZED)):
        return False
    calling, called, address = (str(refused.get(key, "")) for key in ("calling_ae_title", "called_ae_title", "address"))
    try:
        return admission(calling, called, Caller(address, _certificate(refused)), node, peers) is None
    except ValueError:  # the recorded address is not an IP address
        return False


def _certificate(refused: Mapping[str, object]) -> PeerCertificate | None:
    """Return the certificate that the peer of a recorded rejection presented; None if it presented none."""
    fingerprint, names = refused.get("certificate"), refused.get("certificate_names")
    if not fingerprint or not isinstance(names, list):
        return None
    return PeerCertificate(str(fingerprint), frozenset(names))


def _parsed_address(address: str) -> Address:
    """Parse an address; return IPv4 for an IPv4-mapped IPv6 address, as a dual-stack socket reports IPv4 peers."""
    parsed = ipaddress.ip_address(address)
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _matches(peer: PeerSettings, calling_ae_title: str, address: Address) -> bool:
    if peer.ae_title != calling_ae_title:
        return False
    networks = [ipaddress.ip_network(host, strict=False) for host in peer.hosts]
    return not networks or any(address in network for network in networks)


def _is_proven(peer: PeerSettings, certificate: PeerCertificate | None) -> bool:
    if not peer.certificates:
        return True
    return certificate is not None and certificate.is_one_of(peer.certificates)


def _certificate_rejection(
    calling_ae_title: str, address: Address, certificate: PeerCertificate | None, name: str
) -> Rejection:
    """Return the rejection of a caller that did not present a certificate of the peer that it claims to be."""
    who = f"{calling_ae_title!r} at {address}"
    if certificate is None:
        remedy = f"let the peer call tls.port with a certificate, or set peers.{name}.certificates = []"
        return Rejection(CALLING_AE_TITLE_NOT_RECOGNIZED, f"{who} presented no certificate", remedy)
    listed = f"peers.{name}.certificates"
    shown = f"{certificate.fingerprint} ({', '.join(sorted(certificate.names)) or 'no name'})"
    remedy = f"certificates = {json.dumps([certificate.fingerprint])}  # in [peers.{name}], if that is right"
    return Rejection(CALLING_AE_TITLE_NOT_RECOGNIZED, f"{who} presented a certificate not in {listed}: {shown}", remedy)


def _remedy(calling_ae_title: str, address: Address, peers: Mapping[str, PeerSettings]) -> str:
    """Return a section that admits the caller, to be appended to the settings file.

    If the AE title is known from other hosts, the section repeats the other settings of that peer.
    """
    known = next(((name, peer) for name, peer in peers.items() if peer.ae_title == calling_ae_title), None)
    plain = "".join(character for character in calling_ae_title.lower() if character.isalnum()) or "peer"
    name = first = known[0] if known is not None else plain
    for number in itertools.count(2):
        if name not in peers:
            break
        name = f"{first}_{number}"
    others = known[1].model_dump(exclude_defaults=True) if known is not None else {}
    stated = {**others, "ae_title": calling_ae_title, "hosts": [str(address)]}
    return section_to_append(f"peers.{name}", **stated)
