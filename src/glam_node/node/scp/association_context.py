"""The context of an association: settings and stores of its receiver, and its peer, frozen for its lifetime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Unpack

from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.scp.access import Rejection
from glam_node.node.scp.contexts import accepted_contexts
from glam_node.node.scp.negotiation import AcceptedContext
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings, Settings

OnRefused = Callable[[EventKind, EventDetail], None]
"""Function that logs and records a refusal with its detail."""


@dataclass(frozen=True, slots=True)
class ReceiverContext:
    """The settings, stores and records that all associations of a receiver process share."""

    node: NodeSettings
    peers: Mapping[str, PeerSettings]
    minimum_free_bytes: int
    store: InstanceStore
    writer: Writer
    desk: CommitmentDesk
    on_refused: OnRefused
    transfer_syntaxes: Mapping[str, tuple[str, ...]]
    """Accepted transfer syntaxes, in order of preference, by abstract syntax."""

    def record_rejection(
        self, rejection: Rejection, address: str, calling_ae_title: str = "", called_ae_title: str = ""
    ) -> None:
        """Record a rejected association."""
        detail: EventDetail = {
            "calling_ae_title": calling_ae_title,
            "called_ae_title": called_ae_title,
            "address": address,
            **rejection.facts,
        }
        self.on_refused(EventKind.ASSOCIATION_REJECTED, detail)

    def record_abort(
        self, reason: str, remedy: str, address: str, calling_ae_title: str = "", /, **facts: Unpack[EventDetail]
    ) -> None:
        """Record an association that ended before its release."""
        detail: EventDetail = {
            "calling_ae_title": calling_ae_title,
            "address": address,
            "reason": reason,
            "remedy": remedy,
            **facts,
        }
        self.on_refused(EventKind.ASSOCIATION_ABORTED, detail)


def receiver_context(
    settings: Settings, store: InstanceStore, writer: Writer, desk: CommitmentDesk, on_refused: OnRefused
) -> ReceiverContext:
    """Return the context of a receiver, with the table of presentation contexts that it accepts."""
    return ReceiverContext(
        settings.node,
        settings.peers,
        settings.storage.minimum_free_bytes,
        store,
        writer,
        desk,
        on_refused,
        accepted_contexts(settings.node.additional_storage_sop_classes),
    )


@dataclass(frozen=True, slots=True)
class AssociationContext:
    """An accepted association: its receiver, its peer, and what was negotiated."""

    receiver: ReceiverContext
    calling_ae_title: str
    address: str
    contexts: Mapping[int, AcceptedContext]
    """The accepted presentation contexts by their ID."""
    maximum_length: int
    """Maximum length in bytes of a P-DATA-TF that the peer receives; 0 for no limit."""
    study_instance_uid: str = ""
    """The only study that the peer may store; empty for any."""
