"""By which an association is opened and served, from its beginning to its end."""

from collections.abc import Mapping
from dataclasses import dataclass

from glam_node.node.scp.contexts import accepted_contexts
from glam_node.node.workflow.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """Those in force when it was asked for."""

    settings: NodeSettings
    peers: Mapping[str, PeerSettings]
    minimum_free_bytes: int
    desk: CommitmentDesk
    contexts: Mapping[str, tuple[str, ...]]


def rules_of(
    settings: NodeSettings, peers: Mapping[str, PeerSettings], minimum_free_bytes: int, desk: CommitmentDesk
) -> Rules:
    """What these settings mean."""
    contexts = accepted_contexts(settings.additional_storage_sop_classes)
    return Rules(settings, peers, minimum_free_bytes, desk, contexts)
