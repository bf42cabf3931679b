"""Checks of the parts on which the node depends, for /readyz."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from glam_node.node.bootstrap import Node
from glam_node.node.db.engine import reading
from glam_node.node.errors import NodeError, TransientError
from glam_node.node.worker.broker import broker_url, ping

_LISTENS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """The state of one part on which the node depends."""

    name: str
    ok: bool
    fact: str
    """The finding in words."""


def checks(node: Node) -> list[Check]:
    """Check database, storage, broker and DICOM port; a failure is returned, not raised."""
    return list(_checked(node))


def _checked(node: Node) -> Iterator[Check]:
    for name, look in (("database", _database), ("storage", _storage), ("broker", _broker), ("receiver", _receiver)):
        yield _check(name, look, node)


def _check(name: str, look: Callable[[Node], str], node: Node) -> Check:
    try:
        return Check(name, True, look(node))
    except (NodeError, OSError, SQLAlchemyError) as error:
        return Check(name, False, str(error) if isinstance(error, NodeError) else type(error).__name__)


def _database(node: Node) -> str:
    with reading(node.sessions)() as session:
        session.execute(text("SELECT 1"))
    return "answers"


def _storage(node: Node) -> str:
    try:
        node.store.require()
    except TransientError as error:
        # Everybody may read this page, so the path of the storage root is left out.
        raise TransientError("storage.root has lost its marker file. Is the share or disk mounted?") from error
    free, least = node.store.free_bytes(), node.settings.storage.minimum_free_bytes
    if free < least:
        raise TransientError(f"{free} bytes are free; below {least} bytes C-STORE is refused.")
    return f"{free} bytes are free"


def _broker(node: Node) -> str:
    ping(broker_url(node.settings))
    return "answers"


def _receiver(node: Node) -> str:
    listener = node.settings.node
    with socket.create_connection((listener.local_host, listener.port), _LISTENS_WITHIN_S):
        return f"listens on port {listener.port}"
