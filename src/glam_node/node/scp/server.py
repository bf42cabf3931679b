"""The receiver on the node's own upper layer: listen, admit or reject peers, serve each association in a thread."""

import socket
import ssl
import threading
import time
from dataclasses import dataclass

import structlog

from glam_node.node.scp import negotiation, pdu
from glam_node.node.scp.access import Caller, Rejection, admission
from glam_node.node.scp.association import Association
from glam_node.node.scp.association_context import AssociationSettings, record_abort, record_rejection
from glam_node.node.scp.connections import MAXIMUM_WAITING, Connections, ServedAssociation
from glam_node.node.scp.helper_processes import Finish, Helper, HelperGone, Helpers
from glam_node.node.scp.listener import HandshakeRefused, Listener, open_listeners
from glam_node.node.scp.services import STOP_PATIENCE_S, Server

log = structlog.get_logger(__name__)

# PS3.8 Table 9-21: rejected-transient, service provider (presentation), local-limit-exceeded
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
BUSY = Rejection(
    LOCAL_LIMIT_EXCEEDED,
    "the node is busy",
    "node.maximum_associations allows no further association at present; the sender may try again",
)
ACCEPT_PAUSE_S = 0.1
# Seconds and bytes for which the node still reads after its last PDU, before it closes the connection.
LINGER_S = 0.5
LINGER_BYTES = 1_048_576


class StorageServer(Server):
    """A Storage, Storage Commitment and Verification SCP."""

    def _prepare(self) -> None:
        settings = self._settings.node
        self._helpers = Helpers()
        self._connections = Connections(settings.maximum_associations)
        # An evicted connection keeps its thread for a moment, so there are more threads than open connections.
        self._threads_at_most = settings.maximum_associations + 2 * MAXIMUM_WAITING
        self._free_threads = threading.Semaphore(self._threads_at_most)
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listeners: list[Listener] = []

    def share_with(self, helpers: Helpers) -> None:
        """Let helpers serve some of the associations; call this before `start`."""
        self._helpers = helpers

    @property
    def port(self) -> int:
        """The TCP port for plain DICOM, or the TLS port if there is no other."""
        return self._listeners[0].port

    @property
    def tls_port(self) -> int | None:
        """The TCP port for TLS, or None if there is no such port."""
        return next((listener.port for listener in self._listeners if listener.context is not None), None)

    def start(self) -> None:
        """Listen on the ports.

        Raises:
            PermanentError: A port cannot be opened, or the certificate cannot be used.
        """
        self._listeners = open_listeners(self._settings.node, self._tls)
        self._warn_when_nobody_may_send()
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), name=f"accept {listener.port}", daemon=True).start()

    def _apply_settings(self) -> None:
        maximum_associations = self._settings.node.maximum_associations
        self._connections.set_limit(maximum_associations)
        more = maximum_associations + 2 * MAXIMUM_WAITING - self._threads_at_most
        if more > 0:
            self._threads_at_most += more
            self._free_threads.release(more)

    def stop(self) -> None:
        """Stop listening; let associations finish their current message, then cut them after STOP_PATIENCE_S."""
        self._stopping.set()
        for listener in self._listeners:
            listener.close()
        self._helpers.send(Finish())
        self._connections.finish()
        self._join()
        self._connections.cut_all()
        self._join()

    def _join(self) -> None:
        deadline = time.monotonic() + STOP_PATIENCE_S
        with self._lock:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _accept(self, listener: Listener) -> None:
        while not self._stopping.is_set():
            self._free_threads.acquire()
            try:
                connection, address = listener.listening_socket.accept()
                self._start_thread(connection, str(address[0]), listener)
            except (OSError, RuntimeError) as error:  # too many open files or threads: wait until there are fewer
                self._free_threads.release()
                if self._stopping.is_set():
                    return
                log.error("cannot_accept", failure=str(error))
                time.sleep(ACCEPT_PAUSE_S)

    def _start_thread(self, connection: socket.socket, address: str, listener: Listener) -> None:
        thread = threading.Thread(
            target=self._serve, args=(connection, address, listener), name=f"association {address}"
        )
        thread.daemon = True
        self._connections.add(connection, address)
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._forget(connection, thread)
            raise

    def _forget(self, connection: socket.socket, thread: threading.Thread) -> None:
        self._connections.remove(connection)
        connection.close()
        with self._lock:
            self._threads.discard(thread)

    def _serve(self, connection: socket.socket, address: str, listener: Listener) -> None:
        try:
            with listener.handshake(connection, address) as (dicom_socket, caller):
                _send_last_pdu(dicom_socket, self._serve_peer(dicom_socket, connection, caller))
        except HandshakeRefused as error:
            record_rejection(self._services.on_refused, error.rejection, address)
            is_plain = listener.context is None
            _send_last_pdu(connection, pdu.abort(pdu.BY_PROVIDER, pdu.NOT_SPECIFIED) if is_plain else b"")
        except (OSError, pdu.ConnectionLost) as error:  # usual with health checks and port scans
            log.debug("connection_lost", address=address, failure=str(error))
        except Exception:
            log.exception("association_failed", address=address)
            _send_last_pdu(connection, pdu.abort(pdu.BY_PROVIDER, pdu.NOT_SPECIFIED))
        finally:
            self._forget(connection, threading.current_thread())
            self._free_threads.release()

    def _serve_peer(self, dicom_socket: socket.socket, connection: socket.socket, caller: Caller) -> bytes:
        """Negotiate and serve an association; return the last PDU for the peer.

        Args:
            dicom_socket: The socket on which DICOM is spoken: `connection`, or TLS over it.
            connection: The TCP connection.
            caller: The peer.
        """
        settings = self._settings
        stream = pdu.PDUStream(dicom_socket, settings.node.network_timeout, settings.node.maximum_pdu_length)
        proposal: negotiation.Proposal | None = None
        try:
            unit = stream.read()
            if unit.pdu_type != pdu.ASSOCIATE_RQ:
                raise pdu.MalformedPDU(f"the first PDU is of type 0x{unit.pdu_type:02X}", pdu.UNEXPECTED_PDU)
            proposal = negotiation.parse(unit.body)
            # A helper cannot take over a TLS session, nor bytes that were already read.
            with self._helpers.least_busy(only_here=dicom_socket is not connection or not stream.is_empty) as helper:
                opened = self._open(proposal, stream, connection, caller, settings, helper)
                if not isinstance(opened, Rejection):
                    return opened.serve()
        except pdu.MalformedPDU as error:
            calling = proposal.calling_ae_title if proposal is not None else ""
            record_abort(self._services.on_refused, str(error), error.remedy, caller.address, calling)
            return pdu.abort(pdu.BY_USER, pdu.NOT_SPECIFIED)
        except pdu.ConnectionLost as error:
            if not stream.is_empty:
                reason = f"the A-ASSOCIATE-RQ did not arrive completely: {error}"
                record_abort(self._services.on_refused, reason, error.remedy, caller.address)
            raise
        titles = proposal.calling_ae_title, proposal.called_ae_title
        record_rejection(self._services.on_refused, opened, caller.address, *titles)
        return pdu.associate_rj(*opened.result)

    def _open(
        self,
        proposal: negotiation.Proposal,
        stream: pdu.PDUStream,
        connection: socket.socket,
        caller: Caller,
        settings: AssociationSettings,
        helper: Helper | None,
    ) -> ServedAssociation | Rejection:
        calling_ae_title, node = proposal.calling_ae_title, settings.node
        rejection = admission(calling_ae_title, proposal.called_ae_title, caller, node, settings.peers)
        if rejection is not None:
            return rejection
        acceptance = negotiation.accept(proposal, settings.contexts, node.maximum_pdu_length)
        if isinstance(acceptance, Rejection):
            return acceptance
        accepted = negotiation.AcceptedAssociation(
            calling_ae_title, caller.address, acceptance.contexts, acceptance.maximum_length
        )
        local = self._services.association(stream, accepted, settings)
        association = local if helper is None else _HelperAssociation(helper, connection, accepted, local)
        if self._stopping.is_set() or not self._connections.associate(connection, association):
            return BUSY
        stream.send(acceptance.encoded)
        log.info("association_accepted", calling_ae_title=calling_ae_title, contexts=len(acceptance.contexts))
        return association


@dataclass(frozen=True, slots=True)
class _HelperAssociation:
    """An association that a helper serves; this process serves it if the helper is gone."""

    helper: Helper
    connection: socket.socket
    accepted: negotiation.AcceptedAssociation
    fallback: Association

    def ask_to_stop(self) -> bool:
        """Return False, since the helper gets its own order to finish."""
        return False

    def serve(self) -> bytes:
        """Have the helper serve the association; return the last PDU for the peer."""
        try:
            return self.helper.serve(self.connection, self.accepted)
        except HelperGone as error:
            log.error("helper_gone", failure=str(error))
            return self.fallback.serve()


def _send_last_pdu(connection: socket.socket, last_pdu: bytes) -> None:
    """Send the last PDU and let the peer read it: if the node closed with unread data, the PDU could be lost."""
    try:
        connection.settimeout(LINGER_S)
        connection.sendall(last_pdu)
        if isinstance(connection, ssl.SSLSocket):
            connection = connection.unwrap()
        connection.shutdown(socket.SHUT_WR)
        deadline, left = time.monotonic() + LINGER_S, LINGER_BYTES
        while left > 0 and time.monotonic() < deadline:
            unread = len(connection.recv(65_536))
            left -= unread or left
    except OSError:
        return
