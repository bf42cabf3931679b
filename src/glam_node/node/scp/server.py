"""Listens, admits or rejects, and gives every association a thread of its own."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from glam_node.node.errors import PermanentError
from glam_node.node.scp import negotiation, pdu
from glam_node.node.scp.access import admission
from glam_node.node.scp.association import Association
from glam_node.node.scp.contexts import accepted_contexts
from glam_node.node.scp.store import OnRefused, Receive, open_store
from glam_node.node.storage.instances import InstanceStore
from glam_node.settings.schema import NodeSettings, PeerSettings

log = structlog.get_logger(__name__)

# PS3.8 Table 9-21: rejected-transient, service provider (presentation), local-limit-exceeded
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
BACKLOG = 128
# Connections that have not asked for an association yet may be this many more than associations.
UNASSOCIATED = 64
STOP_PATIENCE_S = 5.0


class StorageServer:
    """A Storage and Verification SCP."""

    def __init__(
        self,
        settings: NodeSettings,
        peers: Mapping[str, PeerSettings],
        *,
        store: InstanceStore,
        minimum_free_bytes: int,
        receive: Receive,
        on_refused: OnRefused,
    ) -> None:
        self._settings = settings
        self._peers = peers
        self._on_refused = on_refused
        self._contexts = accepted_contexts(settings.additional_storage_sop_classes)
        self._open_store = partial(
            open_store, store=store, minimum_free_bytes=minimum_free_bytes, receive=receive, on_refused=on_refused
        )
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, Association | None] = {}
        self._threads: set[threading.Thread] = set()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        assert self._listener is not None  # noqa: S101 - start comes first
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Listening when this returns. Raises PermanentError when the address cannot be had."""
        address = (self._settings.host, self._settings.port)
        try:
            self._listener = socket.create_server(address, backlog=BACKLOG)
        except OSError as error:
            raise PermanentError(
                f"{address[0]}:{address[1]} cannot be listened on: {error.strerror}. Check node.host and node.port."
            ) from error
        threading.Thread(target=self._accept, name="accept", daemon=True).start()

    def stop(self) -> None:
        """Nothing listens, no association is open, nothing half received is left."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._close(lambda association: association is None or association.ask_to_stop())
        self._join(STOP_PATIENCE_S)
        self._close(lambda _: True)
        self._join(STOP_PATIENCE_S)

    def _close(self, which: Callable[[Association | None], bool]) -> None:
        with self._lock:
            for connection, association in self._connections.items():
                if which(association):
                    _shut(connection)

    def _join(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for thread in tuple(self._threads):
            thread.join(max(deadline - time.monotonic(), 0))

    def _accept(self) -> None:
        assert self._listener is not None  # noqa: S101 - start has set it
        while not self._stopping.is_set():
            try:
                connection, address = self._listener.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                continue
            self._admit(connection, str(address[0]))

    def _admit(self, connection: socket.socket, address: str) -> None:
        with self._lock:
            full = len(self._connections) >= self._settings.maximum_associations + UNASSOCIATED
            if not full:
                self._connections[connection] = None
        if full:
            connection.close()
            return
        thread = threading.Thread(target=self._serve, args=(connection, address), name=f"association {address}")
        thread.daemon = True
        self._threads.add(thread)
        thread.start()

    def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._associate(connection, address)
        except pdu.ConnectionLost as error:
            log.info("connection_lost", address=address, failure=str(error))
            _send(connection, pdu.abort(2, 0))
        except pdu.MalformedPDU as error:
            log.warning("association_aborted", address=address, failure=str(error))
            _send(connection, pdu.abort(2, 6))
        except OSError as error:
            log.info("connection_lost", address=address, failure=str(error))
        except Exception:
            log.exception("association_failed", address=address)
            _send(connection, pdu.abort(2, 0))
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()
            self._threads.discard(threading.current_thread())

    def _associate(self, connection: socket.socket, address: str) -> None:
        reader = pdu.PDUReader(connection, self._settings.network_timeout, self._settings.maximum_pdu_length)
        unit = reader.read()
        if unit.pdu_type != pdu.ASSOCIATE_RQ:
            raise pdu.MalformedPDU("the first PDU is no A-ASSOCIATE-RQ")
        proposal = negotiation.parse(bytes(unit.body))
        rejection = admission(proposal.calling_ae_title, proposal.called_ae_title, address, self._settings, self._peers)
        if rejection is not None:
            self._reject(connection, rejection.result, rejection.reason, rejection.remedy, proposal, address)
            return
        accepted, contexts = negotiation.accept(proposal, self._contexts, self._settings.maximum_pdu_length)
        open_one = partial(self._open_store, calling_ae_title=proposal.calling_ae_title)
        association = Association(connection, reader, contexts, open_one)
        with self._lock:
            serving = sum(other is not None for other in self._connections.values())
            room = serving < self._settings.maximum_associations and not self._stopping.is_set()
            if room:
                self._connections[connection] = association
        if not room:
            remedy = "node.maximum_associations allows no more at once; the sender may try again"
            self._reject(connection, LOCAL_LIMIT_EXCEEDED, "the node is busy", remedy, proposal, address)
            return
        connection.sendall(accepted)
        log.info("association_accepted", calling_ae_title=proposal.calling_ae_title, contexts=len(contexts))
        association.serve()

    def _reject(
        self,
        connection: socket.socket,
        result: tuple[int, int, int],
        reason: str,
        remedy: str,
        proposal: negotiation.Proposal,
        address: str,
    ) -> None:
        _send(connection, pdu.associate_rj(*result))
        detail: dict[str, object] = {
            "calling_ae_title": proposal.calling_ae_title,
            "called_ae_title": proposal.called_ae_title,
            "address": address,
            "reason": reason,
            "remedy": remedy,
        }
        log.warning("association_rejected", **detail)
        self._on_refused("association_rejected", detail)


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.settimeout(1.0)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        return
