"""A receiver on a real socket, over a real database, in a temporary storage root."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from glam_node.node.bootstrap import server_of
from glam_node.node.db import migrate
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.db.tables import InstanceRow
from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.scp.pynetdicom_server import PynetdicomServer
from glam_node.node.scp.server import StorageServer
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.deliver.commit_results import CommitmentRules
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.node.workflow.receive.store_instance import receive
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings
from glam_node.settings.tls import TLSSettings

PEERS = {"pacs": PeerSettings(ae_title="DCMTK", hosts=("127.0.0.1",)), "other": PeerSettings(ae_title="PYNETDICOM")}


@dataclass
class Receiver:
    """A running receiver, its database and its files."""

    server: StorageServer | PynetdicomServer
    store: InstanceStore
    sessions: SessionFactory
    refused: list[tuple[EventKind, EventDetail]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

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
    settings = NodeSettings(**{"host": "127.0.0.1", "port": 0, "network_timeout": 10.0, **node})
    server = server_of(settings)(
        settings,
        peers,
        store=store,
        minimum_free_bytes=minimum_free_bytes,
        receive=lambda received, title, now: receive(received, title, store=store, writer=writer, now=now),
        on_refused=lambda event, detail: refused.append((event, detail)),
        desk=CommitmentDesk(writer, {"DCMTK"}, CommitmentRules({"archive": "ARCHIVE"}, timedelta(hours=1), 2)),
        tls=tls,
    )
    server.start()
    try:
        yield Receiver(server, store, sessions, refused)
    finally:
        server.stop()
        writer.stop()


over_both = pytest.mark.parametrize("upper_layer", ["streaming", "pynetdicom"])
"""Run a test with both values of node.upper_layer; attack tests run with our own only."""


@pytest.fixture
def upper_layer() -> str:
    return "streaming"


@pytest.fixture
def receiver(tmp_path: Path, upper_layer: str) -> Iterator[Receiver]:
    with running_receiver(tmp_path / "root", upper_layer=upper_layer) as running:
        yield running
