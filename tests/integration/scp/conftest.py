"""A receiver on a real socket, over a real database, in a temporary storage root."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from glam_node.node.db import migrate
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.db.tables import InstanceRow
from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.scp.association_context import receiver_context
from glam_node.node.scp.canary_admission import own_certificate
from glam_node.node.scp.listener import Listener, open_listeners
from glam_node.node.scp.receiver_counts import Place, ReceiverCounts
from glam_node.node.scp.server import StorageServer
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings, Settings, StorageSettings
from glam_node.settings.tls import TLSSettings

PEERS = {"pacs": PeerSettings(ae_title="DCMTK", hosts=("127.0.0.1",)), "other": PeerSettings(ae_title="PYNETDICOM")}


@dataclass
class Receiver:
    """A running receiver, its database and its files."""

    listeners: list[Listener]
    store: InstanceStore
    sessions: SessionFactory
    refused: list[tuple[EventKind, EventDetail]] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port for plain DICOM, or for TLS if there is no other."""
        return self.listeners[0].port

    @property
    def tls_port(self) -> int:
        """The port for TLS."""
        return self.listeners[-1].port

    def rows(self) -> dict[str, InstanceRow]:
        with self.sessions() as session:
            return {row.sop_instance_uid: row for row in session.scalars(select(InstanceRow))}

    def parts(self) -> list[Path]:
        return list((self.store.root / "incoming").iterdir())


@contextmanager
def running_receiver(
    root: Path,
    *,
    minimum_free_bytes: int = 0,
    tls: TLSSettings | None = None,
    peers: dict[str, PeerSettings] = PEERS,
    **node: Any,
) -> Iterator[Receiver]:
    """Run a receiver, by default with short timeouts."""
    root.mkdir(exist_ok=True)
    url = f"sqlite:///{root / 'test.sqlite'}"
    migrate.upgrade(url)
    sessions = open_database(url)
    store, writer = InstanceStore(root), Writer(sessions)
    refused: list[tuple[EventKind, EventDetail]] = []
    settings = Settings(
        node=NodeSettings(**{"host": "127.0.0.1", "port": 0, "network_timeout": 10.0, **node}),
        peers=peers,
        tls=tls or TLSSettings(),
        storage=StorageSettings(root=root, minimum_free_bytes=minimum_free_bytes),
    )
    desk = CommitmentDesk(writer, {"DCMTK"}, CommitmentPolicy({"archive": "ARCHIVE"}, timedelta(hours=1), 2))
    context = receiver_context(settings, store, writer, desk, lambda event, detail: refused.append((event, detail)))
    listeners = open_listeners(settings.node, settings.tls, own_certificate(root))
    server = StorageServer(context, listeners, Place(ReceiverCounts(), 0))
    server.start()
    try:
        yield Receiver(listeners, store, sessions, refused)
    finally:
        server.stop()
        writer.stop()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with running_receiver(tmp_path / "root") as running:
        yield running
