"""Construction of the receiver's part of a node, without the modules that write or send results."""

from dataclasses import dataclass

from glam_node.node.bootstrap.base_node import BaseNode, open_base_node
from glam_node.node.bootstrap.commitment import commitment_policy
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy
from glam_node.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class ReceivingNode(BaseNode):
    """The parts of a node that the receiver needs. Building a node connects only the database."""

    commitment_policy: CommitmentPolicy
    commitment_peers: frozenset[str]
    """The AE titles of peers whose requests for storage commitment can be answered."""


def build_receiving_node(settings: Settings) -> ReceivingNode:
    """Build the receiver's part of the node that the settings describe; raise the errors of `build_node`."""
    return receiving_node(open_base_node(settings), settings)


def receiving_node(base: BaseNode, settings: Settings) -> ReceivingNode:
    """Return the receiver's part of a node with these settings on an open database and storage root."""
    answered = frozenset(peer.ae_title for peer in settings.peers.values() if peer.destination)
    return ReceivingNode(settings, base.sessions, base.store, commitment_policy(settings), answered)
