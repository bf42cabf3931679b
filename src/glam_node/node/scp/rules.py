"""Receiver settings that are frozen for the lifetime of an association."""

from collections.abc import Mapping
from dataclasses import dataclass

from glam_node.node.scp.contexts import accepted_contexts
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """Receiver settings, frozen for the lifetime of one association."""

    settings: NodeSettings
    peers: Mapping[str, PeerSettings]
    minimum_free_bytes: int
    desk: CommitmentDesk
    contexts: Mapping[str, tuple[str, ...]]


def rules_of(
    settings: NodeSettings, peers: Mapping[str, PeerSettings], minimum_free_bytes: int, desk: CommitmentDesk
) -> Rules:
    """Derive the receiver settings of associations, with the table of accepted presentation contexts."""
    contexts = accepted_contexts(settings.additional_storage_sop_classes)
    return Rules(settings, peers, minimum_free_bytes, desk, contexts)
