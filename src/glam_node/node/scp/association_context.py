"""Settings that are frozen for the lifetime of an association, and records of associations that failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

import structlog

from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.scp.access import Rejection
from glam_node.node.scp.contexts import accepted_contexts
from glam_node.node.scp.store import OnRefused
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """Receiver settings, frozen for the lifetime of one association."""

    node: NodeSettings
    peers: Mapping[str, PeerSettings]
    minimum_free_bytes: int
    desk: CommitmentDesk
    contexts: Mapping[str, tuple[str, ...]]
    """Accepted transfer syntaxes, in order of preference, by abstract syntax."""


def association_settings(
    node: NodeSettings, peers: Mapping[str, PeerSettings], minimum_free_bytes: int, desk: CommitmentDesk
) -> AssociationSettings:
    """Derive the settings of associations, with the table of accepted presentation contexts."""
    contexts = accepted_contexts(node.additional_storage_sop_classes)
    return AssociationSettings(node, peers, minimum_free_bytes, desk, contexts)


def record_rejection(
    on_refused: OnRefused, rejection: Rejection, address: str, calling_ae_title: str = "", called_ae_title: str = ""
) -> None:
    """Log a rejected association, and call `on_refused` to record the event."""
    detail: EventDetail = {
        "calling_ae_title": calling_ae_title,
        "called_ae_title": called_ae_title,
        "address": address,
        **rejection.facts,
    }
    log.warning("association_rejected", **detail)
    on_refused(EventKind.ASSOCIATION_REJECTED, detail)


def record_abort(
    on_refused: OnRefused,
    reason: str,
    remedy: str,
    address: str,
    calling_ae_title: str = "",
    /,
    **facts: Unpack[EventDetail],
) -> None:
    """Log an association that ended before its release, and call `on_refused` to record the event."""
    detail: EventDetail = {
        "calling_ae_title": calling_ae_title,
        "address": address,
        "reason": reason,
        "remedy": remedy,
        **facts,
    }
    log.warning("association_aborted", **detail)
    on_refused(EventKind.ASSOCIATION_ABORTED, detail)
