"""Services of a receiver, on either upper layer and in any of its processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from glam_node.node.scp import pdu
from glam_node.node.scp.association import Association, OpenStore
from glam_node.node.scp.commitment import commit
from glam_node.node.scp.negotiation import Agreed
from glam_node.node.scp.rules import Rules, rules_of
from glam_node.node.scp.store import OnRefused, Receive, open_store
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
    """The store and the functions that process what arrives over associations."""

    store: InstanceStore
    receive: Receive
    on_refused: OnRefused

    def opening(self, rules: Rules, calling_ae_title: str, address: str) -> OpenStore:
        """Return the function that begins a C-STORE of this caller."""
        return partial(
            open_store,
            store=self.store,
            receive=self.receive,
            on_refused=self.on_refused,
            minimum_free_bytes=rules.minimum_free_bytes,
            calling_ae_title=calling_ae_title,
            address=address,
        )

    def association(self, stream: pdu.PDUStream, agreed: Agreed, rules: Rules) -> Association:
        """Return an accepted association, to be served over `stream`."""
        open_one = self.opening(rules, agreed.calling_ae_title, agreed.address)
        commit_one = partial(commit, calling_ae_title=agreed.calling_ae_title, desk=rules.desk)
        return Association(stream, agreed, open_one, commit_one, rules.settings.network_timeout, self.on_refused)


class Server:
    """Common base of the servers of both upper layers: their construction and their settings."""

    def __init__(
        self,
        settings: NodeSettings,
        peers: Mapping[str, PeerSettings],
        *,
        store: InstanceStore,
        minimum_free_bytes: int,
        receive: Receive,
        on_refused: OnRefused,
        desk: CommitmentDesk,
        tls: TLSSettings | None = None,
    ) -> None:
        self._rules = rules_of(settings, peers, minimum_free_bytes, desk)
        self._tls = tls or TLSSettings()
        self._services = Services(store, receive, on_refused)
        self._prepare()

    def _prepare(self) -> None:
        """Initialize the upper layer."""

    def follow(
        self,
        settings: NodeSettings,
        peers: Mapping[str, PeerSettings],
        *,
        minimum_free_bytes: int,
        desk: CommitmentDesk,
    ) -> None:
        """Apply new settings to new associations; open associations keep those that they began with."""
        self._rules = rules_of(settings, peers, minimum_free_bytes, desk)
        self._obey()

    def _obey(self) -> None:
        """Apply `_rules` to the upper layer."""

    def _warn_when_nobody_may_send(self) -> None:
        if not self._rules.peers:
            remedy = section_to_append("peers.pacs", ae_title="PACS", hosts=["10.0.0.5"])
            log.warning("nobody_may_send", remedy=remedy)
