"""Associations that the node requests. Each failure becomes a TransientError or a PermanentError."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.scu.checkpoint import Checkpoint
from glam_node.node.scu.tls import PeerTLS, speaks_http, speaks_tls, trouble
from glam_node.node.upper_layer.plain import plain_answer
from glam_node.node.upper_layer.transport import WholePDUs

DIAGNOSIS_TIMEOUT_S = 2.0
JOIN_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity that the node calls."""

    name: str
    """The NAME of [destinations.NAME]."""
    ae_title: str
    host: str
    port: int
    timeout: float
    """Seconds to wait for the connection and for any answer."""
    calling_ae_title: str
    """The AE title of this node."""
    tls: PeerTLS | None = None
    """None for plain DICOM."""
    of_settings: str = ""
    """The section of the settings that describes the peer, if it is not [destinations.NAME]."""

    @property
    def section(self) -> str:
        """Prefix of the peer's keys in the settings."""
        return self.of_settings or f"destinations.{self.name}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for the socket library."""
        return self.host, self.port

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}{' (TLS)' if self.tls is not None else ''}"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Meaning of a rejected association: the reason, the remedy, and whether another attempt may succeed."""

    reason: str
    remedy: str
    transient: bool


class SOPClassRefused(PermanentError):
    """The peer accepted no presentation context for the objects or the service."""


# PS3.8 Table 9-21, A-ASSOCIATE-RJ: (source, reason)
REJECTIONS = {
    (1, 1): Rejection("no reason given", "Look into the log of the archive.", True),
    (1, 2): Rejection("application context name not supported", "Check {section}.port.", False),
    (1, 3): Rejection(
        "calling AE title not recognized", "Register {calling_ae_title} at the archive, or check node.ae_title.", False
    ),
    (1, 7): Rejection("called AE title not recognized", "Check {section}.ae_title.", False),
    (2, 1): Rejection("no reason given (ACSE)", "Look into the log of the archive.", True),
    (2, 2): Rejection("protocol version not supported", "Check {section}.port.", False),
    (3, 1): Rejection("temporary congestion", "The node tries again.", True),
    (3, 2): Rejection("local limit exceeded", "The node tries again. Allow more associations at the archive.", True),
}
UNKNOWN_REJECTION = Rejection("unknown reason", "Look into the log of the archive.", True)
REJECTED_TRANSIENT = 2


@contextmanager
def associated(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[tuple[evt.EventType, Callable[[Event], Any]]] = (),
) -> Iterator[Association]:
    """Open an association with at least one accepted context; release it at the end, or abort it after an error.

    `roles` are proposed in addition to the default ones; `handlers` handle pynetdicom's events on this association.
    Every TransientError or PermanentError names the peer, its answer and the remedy.
    """
    secure = (peer.tls.context(), peer.tls.server_name) if peer.tls is not None else None
    with closing(RequestingAE(peer.calling_ae_title, secure)) as ae:
        association = _request(ae, peer, contexts, roles, handlers)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()


class RequestingAE(AE):
    """An AE that can close the connection of the association that it requests."""

    _transport: AssociationSocket | None = None
    _connection: socket.socket | None = None

    def __init__(self, ae_title: str, secure: tuple[ssl.SSLContext, str] | None = None) -> None:
        super().__init__(ae_title=ae_title)
        self._secure = secure

    def _create_socket(self, assoc: Association, *arguments: Any) -> AssociationSocket:
        assoc._reactor_checkpoint = Checkpoint(assoc)
        self._transport = WholePDUs(super()._create_socket(assoc, *arguments), partial(_plain, assoc))
        self._connection = self._transport.socket
        if self._connection is not None:
            _configure(self._connection, self.connection_timeout or 0)
            if self._secure is not None:
                # If pynetdicom did this, the TLS connection that replaces this one could not be closed here.
                context, server_name = self._secure
                self._connection = context.wrap_socket(self._connection, server_hostname=server_name)
                self._transport.socket = self._connection
        return self._transport

    def close(self) -> None:
        """Close the connection, which pynetdicom leaves open after a failure or if the peer breaks it off."""
        if self._transport is not None and self._transport.assoc.dul.is_alive():
            self._transport.assoc.dul.join(JOIN_TIMEOUT_S)
        if self._connection is not None:
            self._connection.close()


def _plain(association: Association, pdu: bytes) -> bytes:
    """Return a PDU of the peer in a form that pynetdicom understands."""
    requestor = association.requestor
    proposed = {one.context_id or 0: [str(uid) for uid in one.transfer_syntax] for one in requestor.requested_contexts}
    roles = {str(uid): (bool(one.scu_role), bool(one.scp_role)) for uid, one in requestor.role_selection.items()}
    return plain_answer(pdu, proposed, roles)


def _configure(connection: socket.socket, timeout: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Without this timeout a peer that stops reading in the middle of a data set would block the sending thread forever.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout * 1000))
    # Without keep-alive nothing would detect that the host of a peer is gone while its answer is awaited.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), max(1, round(timeout / 3)))


def _request(
    ae: AE,
    peer: Peer,
    contexts: Sequence[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    handlers: Sequence[tuple[evt.EventType, Callable[[Event], Any]]],
) -> Association:
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = peer.timeout
    started = time.monotonic()
    connected: list[Event] = []
    answers: list[A_ASSOCIATE] = []
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            ext_neg=list(roles),
            evt_handlers=[
                (evt.EVT_CONN_OPEN, connected.append),
                (evt.EVT_PDU_RECV, _keep_answer, [answers]),
                *handlers,
            ],
        )
    except socket.gaierror as error:
        raise TransientError(
            f"{peer} cannot be reached: the name {peer.host} has no address ({error.strerror}). "
            f"Check {peer.section}.host."
        ) from error
    if association.is_established:
        # pynetdicom measures silence by the wall clock, so a clock that jumps ahead would end the association. Each
        # request here limits the wait for its answer itself.
        association.network_timeout = None
        return association
    if not connected:
        raise _unreachable(peer)
    raise _refused(peer, next(iter(answers), None), contexts, time.monotonic() - started)


def _unreachable(peer: Peer) -> TransientError:
    """Return the error for a peer without a connection; connect once more, since pynetdicom only logs the reason."""
    patience = min(peer.timeout, DIAGNOSIS_TIMEOUT_S)
    try:
        if peer.tls is not None and (failure := trouble(peer.tls, peer.address, patience)):
            return TransientError(f"{peer}: {failure}.")
        socket.create_connection(peer.address, timeout=patience).close()
        reason = f"no connection within {peer.timeout:g} s"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    return TransientError(
        f"{peer} cannot be reached: {reason}. Is it running? Check {peer.section}.host and {peer.section}.port."
    )


def _keep_answer(event: Event, answers: list[A_ASSOCIATE]) -> None:
    """Append the peer's answer to the association request to `answers`, but nothing that it sends later.

    pynetdicom's own record is empty if the peer rejects and closes before the requesting thread wakes up.
    """
    if isinstance(event.pdu, A_ASSOCIATE_AC | A_ASSOCIATE_RJ):
        answers.append(event.pdu.to_primitive())


def _refused(
    peer: Peer, answer: A_ASSOCIATE | None, contexts: Sequence[PresentationContext], elapsed_s: float
) -> NodeError:
    if answer is not None and answer.result == 0:
        return nothing_accepted(peer, contexts)
    if answer is not None:
        return _rejected(peer, answer.result or 0, answer.result_source or 0, answer.diagnostic or 0)
    if elapsed_s >= peer.timeout:
        return TransientError(
            _mistaken(peer)
            or f"{peer} did not answer the association request within {peer.timeout:g} s. "
            f"Check that {peer.section}.port is its DICOM port, or raise {peer.section}.timeout."
        )
    return TransientError(
        _mistaken(peer)
        or f"{peer} accepted the connection and closed it without an answer to the association request. "
        f"Check that {peer.section}.port is its DICOM port, and look into the log of the archive."
    )


def _mistaken(peer: Peer) -> str:
    """Return a message if the peer speaks HTTP or if TLS is not agreed upon; else an empty text."""
    patience = min(peer.timeout, DIAGNOSIS_TIMEOUT_S)
    if peer.tls is None:
        if speaks_http(peer.address, patience):
            return f"{peer} answers in HTTP, as a web server does. Set {peer.section}.port to its DICOM port."
        if speaks_tls(peer.address, patience):
            return f"{peer} expects TLS. Set {peer.section}.tls = true, or {peer.section}.port to its port without TLS."
        return ""
    try:
        failure = trouble(peer.tls, peer.address, patience)
    except OSError:
        return ""
    return f"{peer}: {failure}." if failure else ""


def _rejected(peer: Peer, result: int, source: int, reason: int) -> NodeError:
    rejection = REJECTIONS.get((source, reason), UNKNOWN_REJECTION)
    remedy = rejection.remedy.format(section=peer.section, calling_ae_title=peer.calling_ae_title)
    kind = TransientError if rejection.transient or result == REJECTED_TRANSIENT else PermanentError
    return kind(
        f"{peer} rejected the association: {rejection.reason}. {remedy}", status=result << 16 | source << 8 | reason
    )


def nothing_accepted(peer: Peer, contexts: Sequence[PresentationContext]) -> SOPClassRefused:
    """Return the error for a peer that accepts none of the presentation contexts."""
    proposed = sorted(
        {f"{UID(context.abstract_syntax or '').name} ({context.transfer_syntax[0].name})" for context in contexts}
    )
    return SOPClassRefused(
        f"{peer} accepts none of: {', '.join(proposed)}. "
        f"Have the archive accept it from {peer.calling_ae_title}, take it out of {peer.section}.results, "
        f"or name a fallback for it in {peer.section}.fallbacks."
    )


def lost(peer: Peer, asked: str, timed_out: bool, waited_s: float | None = None) -> TransientError:
    """Return the error for an association that ended without an answer to the request `asked`."""
    if not timed_out:
        return TransientError(
            f"{peer} ended the association without an answer to {asked}. The node tries again. Look into the log of "
            "the archive."
        )
    return TransientError(
        f"{peer} gave no answer within {peer.timeout if waited_s is None else waited_s:.3g} s to {asked}. The node "
        f"tries again. Look into the log of the archive, or raise {peer.section}.timeout if the archive needs longer."
    )
