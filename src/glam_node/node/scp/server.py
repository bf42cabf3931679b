"""The receiver on the node's own upper layer: listen, admit or reject peers, serve each association in a thread."""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence

import structlog

from glam_node.node.scp import negotiation, pdu
from glam_node.node.scp.access import Caller, Rejection, admission
from glam_node.node.scp.association import Association
from glam_node.node.scp.association_context import AssociationContext, ReceiverContext
from glam_node.node.scp.canary_admission import CANARY_ONLY, canary_study_of, is_own
from glam_node.node.scp.connections import MAXIMUM_WAITING, Connections
from glam_node.node.scp.listener import HandshakeRefused, Listener
from glam_node.node.scp.receiver_counts import Place

log = structlog.get_logger(__name__)

# PS3.8 Table 9-21: rejected-transient, service provider (presentation), local-limit-exceeded
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
BUSY = Rejection(
    LOCAL_LIMIT_EXCEEDED,
    "the node is busy",
    "node.maximum_associations allows no further association at present; the sender may try again",
)
ACCEPT_PAUSE_S = 0.1
YIELD_S, YIELD_STEP_S = 0.005, 0.0005
"""Seconds for which a process leaves a connection to those that have fewer, and after which it looks again."""
STOP_PATIENCE_S = 5.0
"""Seconds for associations to end when a server stops."""
# Seconds and bytes for which the node still reads after its last PDU, before it closes the connection.
LINGER_S = 0.5
LINGER_BYTES = 1_048_576


class StorageServer:
    """A Storage, Storage Commitment and Verification SCP: one of the equal receiver processes of a node.

    All of them accept connections on the same listening sockets. One that stops accepting loses no connection, since
    the others accept those that wait.
    """

    def __init__(self, context: ReceiverContext, listeners: Sequence[Listener], place: Place) -> None:
        self._context = context
        self._listeners = listeners
        self._place = place
        self._connections = Connections(place, context.node.maximum_associations)
        # An evicted connection keeps its thread for a moment, so there are more threads than open connections.
        self._free_threads = threading.Semaphore(context.node.maximum_associations + 2 * MAXIMUM_WAITING)
        self._threads: set[threading.Thread] = set()
        self._acceptors: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closing, self._stopping = threading.Event(), threading.Event()
        # Closing the write end wakes the threads that wait for connections.
        self._closed, self._close = os.pipe()

    def start(self) -> None:
        """Accept connections on every port."""
        for listener in self._listeners:
            thread = threading.Thread(target=self._accept, args=(listener,), name=f"accept {listener.port}")
            thread.daemon = True
            self._acceptors.append(thread)
            thread.start()

    def drain(self) -> None:
        """Accept no more connections, and wait until those that are open have ended."""
        self._stop_accepting()
        while threads := self._open_threads():
            threads[0].join()

    def stop(self) -> None:
        """Accept no more connections; let associations finish their message, then cut them after STOP_PATIENCE_S."""
        self._stopping.set()
        self._stop_accepting()
        self._connections.finish()
        self._join()
        self._connections.cut_all()
        self._join()

    def _stop_accepting(self) -> None:
        with self._lock:
            was_closing = self._closing.is_set()
            self._closing.set()
        if not was_closing:
            os.close(self._close)
            self._free_threads.release(len(self._acceptors))
        for thread in self._acceptors:
            thread.join(STOP_PATIENCE_S)
        self._place.stop_accepting()
        for listener in self._listeners:
            listener.close()

    def _open_threads(self) -> tuple[threading.Thread, ...]:
        with self._lock:
            return tuple(self._threads)

    def _join(self) -> None:
        deadline = time.monotonic() + STOP_PATIENCE_S
        for thread in self._open_threads():
            thread.join(max(deadline - time.monotonic(), 0))

    def _accept(self, listener: Listener) -> None:
        waiting = select.poll()
        waiting.register(listener.listening_socket, select.POLLIN)
        waiting.register(self._closed, select.POLLIN)
        while not self._closing.is_set():
            self._free_threads.acquire()
            try:
                self._start_thread(*self._next_connection(listener, waiting), listener)
            except BlockingIOError:  # another process was faster, or this one is closing
                self._free_threads.release()
            except (OSError, RuntimeError) as error:  # too many open files or threads: wait until there are fewer
                self._free_threads.release()
                log.error("cannot_accept", failure=str(error))
                self._closing.wait(ACCEPT_PAUSE_S)

    def _next_connection(self, listener: Listener, waiting: select.poll) -> tuple[socket.socket, str]:
        """Wait for a connection, leave it to a process that is less busy for a moment, and accept it.

        Raises:
            BlockingIOError: Another process has accepted it, or this one is closing.
        """
        waiting.poll()
        deadline = time.monotonic() + YIELD_S
        while not self._place.is_least_busy() and time.monotonic() < deadline:
            time.sleep(YIELD_STEP_S)
        if self._closing.is_set():
            raise BlockingIOError
        return listener.accept()

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
                last_pdu = self._serve_peer(dicom_socket, connection, caller)
                self._connections.end(connection)
                _send_last_pdu(dicom_socket, last_pdu)
        except HandshakeRefused as error:
            self._context.record_rejection(error.rejection, address)
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
        node = self._context.node
        stream = pdu.PDUStream(dicom_socket, node.network_timeout, node.maximum_pdu_length)
        proposal: negotiation.Proposal | None = None
        try:
            unit = stream.read()
            if unit.pdu_type != pdu.ASSOCIATE_RQ:
                raise pdu.MalformedPDU(f"the first PDU is of type 0x{unit.pdu_type:02X}", pdu.UNEXPECTED_PDU)
            proposal = negotiation.parse(unit.body)
            opened = self._open(proposal, stream, connection, caller)
            if not isinstance(opened, Rejection):
                return opened.serve()
        except pdu.MalformedPDU as error:
            calling = proposal.calling_ae_title if proposal is not None else ""
            self._context.record_abort(str(error), error.remedy, caller.address, calling)
            return pdu.abort(pdu.BY_USER, pdu.NOT_SPECIFIED)
        except pdu.ConnectionLost as error:
            if not stream.is_empty:
                reason = f"the A-ASSOCIATE-RQ did not arrive completely: {error}"
                self._context.record_abort(reason, error.remedy, caller.address)
            raise
        self._context.record_rejection(opened, caller.address, proposal.calling_ae_title, proposal.called_ae_title)
        return pdu.associate_rj(*opened.result)

    def _open(
        self, proposal: negotiation.Proposal, stream: pdu.PDUStream, connection: socket.socket, caller: Caller
    ) -> Association | Rejection:
        context, calling_ae_title = self._context, proposal.calling_ae_title
        canary_study = "" if caller.wrong_port is not None else canary_study_of(proposal, context.writer)
        if not canary_study and is_own(caller):
            return CANARY_ONLY
        if not canary_study:
            rejection = admission(calling_ae_title, proposal.called_ae_title, caller, context.node, context.peers)
            if rejection is not None:
                return rejection
        answer = negotiation.accept(proposal, context.transfer_syntaxes, context.node.maximum_pdu_length)
        if isinstance(answer, Rejection):
            return answer
        association = Association(
            stream,
            AssociationContext(
                context, calling_ae_title, caller.address, answer.contexts, answer.maximum_length, canary_study
            ),
        )
        if self._stopping.is_set() or not self._connections.associate(connection, association):
            return BUSY
        stream.send(answer.encoded)
        log.info("association_accepted", calling_ae_title=calling_ae_title, contexts=len(answer.contexts))
        return association


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
