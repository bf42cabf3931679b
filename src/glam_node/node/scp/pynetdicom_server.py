"""The receiver on pynetdicom's upper layer: slower and less robust against attacks, but independently written."""

import ssl
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from glam_node import __version__
from glam_node.node.domain import implementation
from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.scp import dimse
from glam_node.node.scp.access import Caller, Rejection, admission
from glam_node.node.scp.association_context import record_abort, record_rejection
from glam_node.node.scp.commitment import commit
from glam_node.node.scp.listener import cannot_listen, tls_context
from glam_node.node.scp.negotiation import AcceptedContext, choose_transfer_syntax
from glam_node.node.scp.pdu import Closed
from glam_node.node.scp.services import STOP_PATIENCE_S, Server
from glam_node.node.tls.certificates import peer_certificate
from glam_node.node.tls.contexts import ReloadingContext
from glam_node.node.upper_layer.pynetdicom_pdus import rewrite_request
from glam_node.node.upper_layer.transport import WholePDUs

log = structlog.get_logger(__name__)

ESTABLISHED = "Sta6"
"""The state of an association that is ready for data transfer (PS3.8 Table 9-3)."""


class PynetdicomServer(Server):
    """A Storage, Storage Commitment and Verification SCP with the access control, statuses and events of StorageServer.

    This server keeps each instance in memory until the instance is complete. It limits the number of associations, but
    not the number of connections without an association.
    """

    def _prepare(self) -> None:
        self._ae = AE(ae_title=self._settings.node.ae_title)
        self._plain: ThreadedAssociationServer | None = None
        self._secured: ThreadedAssociationServer | None = None
        self._apply_settings()

    @property
    def port(self) -> int:
        """The TCP port for plain DICOM, or the TLS port if there is no other."""
        port = _port(self._plain) or _port(self._secured)
        assert port is not None  # noqa: S101 - it was started
        return port

    @property
    def tls_port(self) -> int | None:
        """The TCP port for TLS, or None if there is no such port."""
        return _port(self._secured)

    def start(self) -> None:
        """Listen on the ports.

        Raises:
            PermanentError: A port cannot be opened, or the certificate cannot be used.
        """
        self._warn_when_nobody_may_send()
        if self._tls.port is not None:
            self._secured = self._listen(self._tls.port, "tls.port", _DeferredHandshake(tls_context(self._tls)))
        if self._tls.port is None or self._tls.plain:
            self._plain = self._listen(self._settings.node.port, "node.port", None)

    def stop(self) -> None:
        """Stop listening and abort every association."""
        for association in self._ae.active_associations:
            _end_association(association)
        for server in filter(None, (self._plain, self._secured)):
            server.shutdown()

    def _apply_settings(self) -> None:
        ae, settings = self._ae, self._settings.node
        ae.maximum_associations = settings.maximum_associations
        ae.maximum_pdu_size = settings.maximum_pdu_length
        ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = settings.network_timeout
        ae.implementation_class_uid = implementation.CLASS_UID
        ae.implementation_version_name = implementation.version_name(__version__)
        ae.supported_contexts = []
        for abstract_syntax, transfer_syntaxes in self._settings.contexts.items():
            # A peer may be the SCU of storage commitment, when it requests, and the SCP, when it replies to us.
            roles: dict[str, Any] = {"scu_role": True, "scp_role": True} if abstract_syntax == PUSH_MODEL else {}
            ae.add_supported_context(abstract_syntax, list(transfer_syntaxes), **roles)
        for server in filter(None, (self._plain, self._secured)):
            server.contexts = ae.supported_contexts

    def _listen(self, port: int, key: str, context: "_DeferredHandshake | None") -> ThreadedAssociationServer:
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, _read_whole_pdus),
            (evt.EVT_ABORTED, self._aborted),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commit),
            (evt.EVT_N_EVENT_REPORT, self._commit),
        ]
        host = self._settings.node.host
        try:
            server = self._ae.start_server(
                (host, port),
                block=False,
                evt_handlers=handlers,
                ssl_context=context,  # type: ignore[arg-type]
            )
        except OSError as error:
            self.stop()
            raise cannot_listen(host, port, key, error) from error
        assert server is not None  # noqa: S101 - it does not block
        return server

    def _requested(self, event: Event) -> None:
        """Reject a peer that is not admitted; otherwise leave one transfer syntax in each proposed context."""
        association: Any = event.assoc
        request: Any = association.requestor.primitive
        calling, called = request.calling_ae_title, request.called_ae_title
        connection: Any = association.dul.socket.socket
        certificate = peer_certificate(connection) if isinstance(connection, ssl.SSLSocket) else None
        caller = Caller(str(association.requestor.address), certificate)
        rejection = admission(calling, called, caller, self._settings.node, self._settings.peers)
        if rejection is not None:
            self._reject(event, rejection, caller, calling, called)
            return
        for proposed in request.presentation_context_definition_list:
            ours = self._settings.contexts.get(str(proposed.abstract_syntax), ())
            chosen = choose_transfer_syntax([str(syntax) for syntax in proposed.transfer_syntax], ours)
            if chosen is not None:
                proposed.transfer_syntax = [chosen]
        log.info("association_requested", calling_ae_title=calling)

    def _reject(self, event: Event, rejection: Rejection, caller: Caller, calling: str, called: str) -> None:
        event.assoc.acse.send_reject(*rejection.result)
        event.assoc.kill()
        record_rejection(self._services.on_refused, rejection, caller.address, calling, called)

    def _aborted(self, event: Event) -> None:
        """Record that the peer or pynetdicom aborted the association."""
        association = event.assoc
        calling, address = str(association.requestor.ae_title), str(association.requestor.address)
        record_abort(self._services.on_refused, "aborted, or closed by the peer", Closed.remedy, address, calling)

    def _store(self, event: Event) -> Dataset:
        request: Any = event.request
        data_set = request.DataSet
        command = dimse.Command(
            dimse.C_STORE_RQ,
            request.MessageID,
            data_set is not None,
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
        )
        begin = self._services.store_beginner(self._settings, _calling(event), str(event.assoc.requestor.address))
        storing = begin(command, _context(event))
        try:
            if data_set is not None:
                storing.write(data_set.getbuffer())
            return _answer(*storing.finish())
        finally:
            storing.discard()

    def _commit(self, event: Event) -> tuple[Dataset, None]:
        request: Any = event.request
        is_action = event.event is evt.EVT_N_ACTION
        encoded = request.ActionInformation if is_action else request.EventInformation
        command = dimse.Command(
            dimse.N_ACTION_RQ if is_action else dimse.N_EVENT_REPORT_RQ,
            request.MessageID,
            encoded is not None,
            str(request.RequestedSOPClassUID if is_action else request.AffectedSOPClassUID),
            str(request.RequestedSOPInstanceUID if is_action else request.AffectedSOPInstanceUID),
            request.ActionTypeID if is_action else request.EventTypeID,
        )
        data = encoded.getvalue() if encoded is not None else b""
        status = commit(command, _context(event), data, calling_ae_title=_calling(event), desk=self._settings.desk)
        return _answer(*status), None


def _read_whole_pdus(event: Event) -> None:
    """Make the connection of a new association return whole PDUs without waiting, rewritten for pynetdicom."""
    dul = event.assoc.dul
    if dul.socket is not None:
        dul.socket = WholePDUs(dul.socket, rewrite_request)


class _DeferredHandshake:
    """An SSL context for pynetdicom that defers the handshake: a silent peer must not block the accepting thread."""

    def __init__(self, context: ReloadingContext) -> None:
        self._context = context

    def wrap_socket(self, connection: Any, *, server_side: bool) -> ssl.SSLSocket:
        """Return a TLS connection whose handshake happens at the first read."""
        return self._context.current().wrap_socket(connection, server_side=server_side, do_handshake_on_connect=False)


def _end_association(association: Association) -> None:
    """End an association; abort it only if it is established, as pynetdicom fails on an abort in other states."""
    if association.dul.state_machine.current_state == ESTABLISHED:
        association.abort()
    elif (line := association.dul.socket) is not None:
        line._shutdown_socket()  # the thread of the association then closes the connection
    association.join(STOP_PATIENCE_S)


def _port(server: ThreadedAssociationServer | None) -> int | None:
    if server is None or server.socket is None:
        return None
    return int(server.socket.getsockname()[1])


def _calling(event: Event) -> str:
    return str(event.assoc.requestor.ae_title)


def _context(event: Event) -> AcceptedContext:
    return AcceptedContext(str(event.context.abstract_syntax), str(event.context.transfer_syntax))


def _answer(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment[: dimse.LONGEST_COMMENT]
    return answer
