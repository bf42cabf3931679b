"""Services of a receiver, on either upper layer and in any of its processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from glam_node.node.scp import pdu
from glam_node.node.scp.association import Association, BeginStore
from glam_node.node.scp.association_context import AssociationSettings, association_settings
from glam_node.node.scp.commitment import commit
from glam_node.node.scp.negotiation import AcceptedAssociation
from glam_node.node.scp.store import OnRefused, Receive, begin_store
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.reference import section_to_append
from glam_node.settings.schema import NodeSettings
from glam_node.settings.tls import TLSSettings

log = structlog.get_logger(__name__)

STOP_PATIENCE_S = 5.0
"""Seconds for associations to end when a server stops."""


@dataclass(frozen=True, slots=True)
class Services:
    """The store of instances, and the functions that process received instances and refusals."""

    store: InstanceStore
    receive: Receive
    on_refused: OnRefused

    def store_beginner(self, settings: AssociationSettings, calling_ae_title: str, address: str) -> BeginStore:
        """Return the function that begins a C-STORE of this caller."""
        return partial(
            begin_store,
            store=self.store,
            receive=self.receive,
            on_refused=self.on_refused,
            minimum_free_bytes=settings.minimum_free_bytes,
            calling_ae_title=calling_ae_title,
            address=address,
        )

    def association(
        self, stream: pdu.PDUStream, accepted: AcceptedAssociation, settings: AssociationSettings
    ) -> Association:
        """Return an accepted association, to be served over `stream`."""
        open_one = self.store_beginner(settings, accepted.calling_ae_title, accepted.address)
        commit_one = partial(commit, calling_ae_title=accepted.calling_ae_title, desk=settings.desk)
        return Association(stream, accepted, open_one, commit_one, settings.node.network_timeout, self.on_refused)


class Server:
    """Common base of the servers of both upper layers: their construction and their settings."""

    def __init__(
        self,
        node: NodeSettings,
        peers: Mapping[str, PeerSettings],
        *,
        store: InstanceStore,
        minimum_free_bytes: int,
        receive: Receive,
        on_refused: OnRefused,
        desk: CommitmentDesk,
        tls: TLSSettings | None = None,
    ) -> None:
        self._settings = association_settings(node, peers, minimum_free_bytes, desk)
        self._tls = tls or TLSSettings()
        self._services = Services(store, receive, on_refused)
        self._prepare()

    def _prepare(self) -> None:
        """Initialize the upper layer."""

    def follow(
        self,
        node: NodeSettings,
        peers: Mapping[str, PeerSettings],
        *,
        minimum_free_bytes: int,
        desk: CommitmentDesk,
    ) -> None:
        """Apply new settings to new associations; open associations keep their settings."""
        self._settings = association_settings(node, peers, minimum_free_bytes, desk)
        self._apply_settings()

    def _apply_settings(self) -> None:
        """Apply `_settings` to the upper layer."""

    def _warn_when_nobody_may_send(self) -> None:
        if not self._settings.peers:
            remedy = section_to_append("peers.pacs", ae_title="PACS", hosts=["10.0.0.5"])
            log.warning("nobody_may_send", remedy=remedy)
