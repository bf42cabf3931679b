"""Who may open an association, and the line of settings that would admit who may not."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass

from glam_node.settings.schema import NodeSettings, PeerSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# PS3.8 Table 9-21: result, source and reason of a permanent rejection by the service user
CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is not opened."""

    result: tuple[int, int, int]
    """Result, source and reason of the A-ASSOCIATE-RJ."""
    reason: str
    remedy: str
    """The settings that would admit the peer."""


def admission(
    calling_ae_title: str, called_ae_title: str, address: str, node: NodeSettings, peers: Mapping[str, PeerSettings]
) -> Rejection | None:
    """None when the association may be opened."""
    caller = _plain(address)
    if not any(_matches(peer, calling_ae_title, caller) for peer in peers.values()):
        reason = f"{calling_ae_title!r} at {caller} is none of the peers that may send"
        return Rejection(CALLING_AE_TITLE_NOT_RECOGNIZED, reason, _remedy(calling_ae_title, caller, peers))
    if node.require_called_ae_title and called_ae_title != node.ae_title:
        reason = f"{calling_ae_title!r} at {caller} called {called_ae_title!r}, this node is {node.ae_title!r}"
        remedy = f"node.ae_title = {json.dumps(called_ae_title)}  # or, at the sender, call {node.ae_title}"
        return Rejection(CALLED_AE_TITLE_NOT_RECOGNIZED, reason, remedy)
    return None


def _plain(address: str) -> Address:
    """An IPv4 peer of a socket that listens on both kinds has its address inside an IPv6 one."""
    parsed = ipaddress.ip_address(address)
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _matches(peer: PeerSettings, calling_ae_title: str, caller: Address) -> bool:
    if peer.ae_title != calling_ae_title:
        return False
    networks = [ipaddress.ip_network(host, strict=False) for host in peer.hosts]
    return not networks or any(caller in network for network in networks)


def _remedy(calling_ae_title: str, caller: Address, peers: Mapping[str, PeerSettings]) -> str:
    """One line of TOML and where it goes; a peer that is known from other hosts gets one host more."""
    name = "".join(character for character in calling_ae_title.lower() if character.isalnum()) or "peer"
    known = next(((name, peer) for name, peer in peers.items() if peer.ae_title == calling_ae_title), None)
    if known is not None:
        return f"peers.{known[0]}.hosts = {json.dumps([*known[1].hosts, str(caller)])}  # in place of its present hosts"
    peer = f"{{ ae_title = {json.dumps(calling_ae_title)}, hosts = {json.dumps([str(caller)])} }}"
    return f"peers.{name} = {peer}  # above the first [section]"
