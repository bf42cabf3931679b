"""Who may open an association, and the line of settings that would admit who may not."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from glam_node.settings.schema import NodeSettings, PeerSettings

# PS3.8 Table 9-21: source and reason of a permanent rejection by the service user
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
    if not any(_matches(peer, calling_ae_title, address) for peer in peers.values()):
        reason = f"{calling_ae_title!r} at {address} is none of the peers that may send"
        return Rejection(CALLING_AE_TITLE_NOT_RECOGNIZED, reason, _remedy(calling_ae_title, address))
    if node.require_called_ae_title and called_ae_title != node.ae_title:
        reason = f"{calling_ae_title!r} at {address} called {called_ae_title!r}, this node is {node.ae_title!r}"
        remedy = f'node.ae_title = "{_toml(called_ae_title)}"  # or, at the sender, call {node.ae_title}'
        return Rejection(CALLED_AE_TITLE_NOT_RECOGNIZED, reason, remedy)
    return None


def _matches(peer: PeerSettings, calling_ae_title: str, address: str) -> bool:
    if peer.ae_title != calling_ae_title:
        return False
    networks = [ipaddress.ip_network(host, strict=False) for host in peer.hosts]
    return not networks or any(ipaddress.ip_address(address) in network for network in networks)


def _remedy(calling_ae_title: str, address: str) -> str:
    title = _toml(calling_ae_title)
    name = "".join(character for character in title.lower() if character.isalnum()) or "peer"
    return f'peers.{name} = {{ ae_title = "{title}", hosts = ["{address}"] }}'


def _toml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
