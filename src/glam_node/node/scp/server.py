"""Listens, admits or rejects, and gives every association a thread of its own."""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import partial

import structlog

from glam_node.node.scp import negotiation, pdu
from glam_node.node.scp.access import Caller, Rejection, admission
from glam_node.node.scp.association import Association
from glam_node.node.scp.commitment import commit
from glam_node.node.scp.connections import WAITING, Connections
from glam_node.node.scp.dimse import SUCCESS
from glam_node.node.scp.door import Door, HandshakeRefused, open_doors
from glam_node.node.scp.refusals import tell
from glam_node.node.scp.rules import Rules, rules_of
from glam_node.node.scp.store import OnRefused, Receive, open_store
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.commitment_desk import CommitmentDesk
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings
from glam_node.settings.tls import TLSSettings

log = structlog.get_logger(__name__)

# PS3.8 Table 9-21: rejected-transient, service provider (presentation), local-limit-exceeded
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
BUSY = Rejection(
    LOCAL_LIMIT_EXCEEDED,
    "the node is busy",
    "node.maximum_associations allows no more at once; the sender may try again",
)
STOP_PATIENCE_S = 5.0
ACCEPT_PAUSE_S = 0.1
# What a peer may take to read our last word, and say meanwhile, before the connection is closed under it.
LINGER_S = 0.5
LINGER_BYTES = 1_048_576


class StorageServer:
    """A Storage, Storage Commitment and Verification SCP."""

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
        self._on_refused = on_refused
        self._open_store = partial(open_store, store=store, receive=receive, on_refused=on_refused)
        self._connections = Connections(settings.maximum_associations)
        # Who gave way may take a moment to end; so many threads and no more, whatever comes.
        self._threads_at_most = settings.maximum_associations + 2 * WAITING
        self._free_threads = threading.Semaphore(self._threads_at_most)
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._doors: list[Door] = []

    @property
    def port(self) -> int:
        """The TCP port that it listens on: without TLS, unless only TLS is spoken."""
        return self._doors[0].port

    @property
    def tls_port(self) -> int | None:
        """The TCP port on which it speaks TLS."""
        return next((door.port for door in self._doors if door.context is not None), None)

    def start(self) -> None:
        """Listening when this returns. Raises PermanentError when an address cannot be had, or a certificate used."""
        self._doors = open_doors(self._rules.settings, self._tls)
        if not self._rules.peers:
            log.warning("nobody_may_send", remedy='peers.pacs = { ae_title = "PACS", hosts = ["10.0.0.5"] }')
        for door in self._doors:
            threading.Thread(target=self._accept, args=(door,), name=f"accept {door.port}", daemon=True).start()

    def follow(
        self,
        settings: NodeSettings,
        peers: Mapping[str, PeerSettings],
        *,
        minimum_free_bytes: int,
        desk: CommitmentDesk,
    ) -> None:
        """Associations that are opened from here on obey these; those that are open go on as they began."""
        self._rules = rules_of(settings, peers, minimum_free_bytes, desk)
        self._connections.allow(settings.maximum_associations)
        more = settings.maximum_associations + 2 * WAITING - self._threads_at_most
        if more > 0:
            self._threads_at_most += more
            self._free_threads.release(more)

    def stop(self) -> None:
        """Nothing listens, no association is open, nothing half received is left."""
        self._stopping.set()
        for door in self._doors:
            door.close()
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

    def _accept(self, door: Door) -> None:
        while not self._stopping.is_set():
            self._free_threads.acquire()
            try:
                connection, address = door.listener.accept()
                self._start_thread(connection, str(address[0]), door)
            except (OSError, RuntimeError) as error:  # no file handle or no thread is to be had: it passes
                self._free_threads.release()
                if self._stopping.is_set():
                    return
                log.error("cannot_accept", failure=str(error))
                time.sleep(ACCEPT_PAUSE_S)

    def _start_thread(self, connection: socket.socket, address: str, door: Door) -> None:
        thread = threading.Thread(target=self._serve, args=(connection, address, door), name=f"association {address}")
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

    def _serve(self, connection: socket.socket, address: str, door: Door) -> None:
        try:
            with door.opened(connection, address) as (line, caller):
                _part(line, self._talk(line, connection, caller))
        except HandshakeRefused as error:
            tell(self._on_refused, error.rejection, address)
            _part(connection, pdu.abort(pdu.BY_PROVIDER, pdu.NOT_SPECIFIED) if door.context is None else b"")
        except (OSError, pdu.ConnectionLost) as error:  # health checks and port scans
            log.debug("connection_lost", address=address, failure=str(error))
        except Exception:
            log.exception("association_failed", address=address)
            _part(connection, pdu.abort(pdu.BY_PROVIDER, pdu.NOT_SPECIFIED))
        finally:
            self._forget(connection, threading.current_thread())
            self._free_threads.release()

    def _talk(self, line: socket.socket, connection: socket.socket, caller: Caller) -> bytes:
        """What to say last, when all is said on `line`, which may be `connection` or TLS over it."""
        rules = self._rules
        stream = pdu.PDUStream(line, rules.settings.network_timeout, rules.settings.maximum_pdu_length)
        try:
            unit = stream.read()
            if unit.pdu_type != pdu.ASSOCIATE_RQ:
                raise pdu.MalformedPDU(f"the first PDU is of type 0x{unit.pdu_type:02X}", pdu.UNEXPECTED_PDU)
            proposal = negotiation.parse(unit.body)
            opened = self._open(proposal, stream, connection, caller, rules)
            if isinstance(opened, Rejection):
                titles = proposal.calling_ae_title, proposal.called_ae_title
                tell(self._on_refused, opened, caller.address, *titles)
                return pdu.associate_rj(*opened.result)
        except pdu.MalformedPDU as error:
            log.warning("connection_refused", address=caller.address, failure=str(error))
            return pdu.abort(pdu.BY_USER, pdu.NOT_SPECIFIED)
        return _converse(opened, proposal.calling_ae_title)

    def _open(
        self,
        proposal: negotiation.Proposal,
        stream: pdu.PDUStream,
        connection: socket.socket,
        caller: Caller,
        rules: Rules,
    ) -> Association | Rejection:
        calling_ae_title, settings = proposal.calling_ae_title, rules.settings
        rejection = admission(calling_ae_title, proposal.called_ae_title, caller, settings, rules.peers)
        if rejection is not None:
            return rejection
        accepted = negotiation.accept(proposal, rules.contexts, settings.maximum_pdu_length)
        if isinstance(accepted, Rejection):
            return accepted
        open_one = partial(
            self._open_store,
            minimum_free_bytes=rules.minimum_free_bytes,
            calling_ae_title=calling_ae_title,
            address=caller.address,
        )
        commit_one = partial(commit, calling_ae_title=calling_ae_title, desk=rules.desk)
        association = Association(stream, accepted.contexts, open_one, commit_one, settings.network_timeout)
        if self._stopping.is_set() or not self._connections.associate(connection, association):
            return BUSY
        stream.send(accepted.encoded)
        log.info("association_accepted", calling_ae_title=calling_ae_title, contexts=len(accepted.contexts))
        return association


def _converse(association: Association, calling_ae_title: str) -> bytes:
    """What to say when the association is over."""
    failure, last_word = "", b""
    try:
        association.serve()
    except pdu.ConnectionLost as error:
        failure, last_word = str(error), pdu.abort(pdu.BY_USER, pdu.NOT_SPECIFIED)
    except pdu.MalformedPDU as error:
        failure, last_word = str(error), pdu.abort(pdu.BY_PROVIDER, error.reason)
    stored = association.answered[SUCCESS]
    refused = association.answered.total() - stored
    say = log.warning if failure else log.info
    say("association_ended", calling_ae_title=calling_ae_title, stored=stored, refused=refused, failure=failure)
    return last_word


def _part(connection: socket.socket, last_word: bytes) -> None:
    """The peer has read `last_word`, or had its chance: closing with unread data would destroy it on the way."""
    try:
        connection.settimeout(LINGER_S)
        connection.sendall(last_word)
        if isinstance(connection, ssl.SSLSocket):
            connection = connection.unwrap()
        connection.shutdown(socket.SHUT_WR)
        deadline, left = time.monotonic() + LINGER_S, LINGER_BYTES
        while left > 0 and time.monotonic() < deadline:
            unread = len(connection.recv(65_536))
            left -= unread or left
    except OSError:
        return
