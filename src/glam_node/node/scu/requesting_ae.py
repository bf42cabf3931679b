"""An application entity that requests an association, with corrections of pynetdicom's connections and threads."""

import socket
import ssl
import threading
import time
from functools import partial
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu_primitives import A_RELEASE
from pynetdicom.transport import AssociationSocket

from glam_node.node.upper_layer.pynetdicom_pdus import rewrite_answer
from glam_node.node.upper_layer.transport import WholePDUs

JOIN_TIMEOUT_S = 1.0
LONGEST_PAUSE_S = 5.0
"""The longest wait for the association's thread, which may be busy with a request of the peer."""
PAUSE_POLL_S = 0.01
RELEASE_REQUESTED_BY_PEER = "Sta8"
"""The state of an association whose release the peer has asked for (PS3.8 Table 9-4)."""
_OWN_PRIMITIVES = {"Evt9", "Evt11", "Evt14", "Evt15"}
"""Requests for data, release and abort, and responses to a release, that come from this side (PS3.8 Table 9-10)."""


class RequestingAE(AE):
    """An AE that can close the connection of the association that it requests."""

    _transport: AssociationSocket | None = None
    _connection: socket.socket | None = None

    def __init__(self, ae_title: str, secure: tuple[ssl.SSLContext, str] | None = None) -> None:
        super().__init__(ae_title=ae_title)
        self._secure = secure

    def _create_socket(self, assoc: Association, *arguments: Any) -> AssociationSocket:
        assoc._reactor_checkpoint = Checkpoint(assoc)
        _drop_late_primitives(assoc)
        self._transport = WholePDUs(super()._create_socket(assoc, *arguments), partial(_plain_pdu, assoc))
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


class Checkpoint(threading.Event):
    """A gate that an association's thread passes repeatedly while the gate is open. The gate is open at first.

    A thread that closes the gate can rely on the association's thread waiting there. With a plain Event, the
    association's thread may have passed the gate just before. It would then read the answer and discard it as
    unexpected, and the other thread would wait until the peer's timeout.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._turn = threading.Condition()
        self._is_open, self._is_waiting = True, False

    def is_set(self) -> bool:
        """Return whether the gate is open."""
        return self._is_open

    def set(self) -> None:
        """Open the gate."""
        with self._turn:
            self._is_open = True
            self._turn.notify_all()

    def clear(self) -> None:
        """Close the gate, and wait until the association's thread waits there, has ended, or is busy for too long."""
        deadline = time.monotonic() + LONGEST_PAUSE_S
        with self._turn:
            self._is_open = False
            while not self._is_waiting and self._is_elsewhere() and time.monotonic() < deadline:
                self._turn.wait(PAUSE_POLL_S)

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - pynetdicom passes none
        """Wait until the gate is open; only the association's thread calls this."""
        with self._turn:
            self._is_waiting = True
            while not self._is_open:
                # Another thread of pynetdicom clears this flag after serving an N-EVENT-REPORT on this association. The
                # thread that closed the gate would then wait for the flag forever.
                self._association._is_paused = True
                self._turn.notify_all()
                self._turn.wait(PAUSE_POLL_S)
            self._is_waiting = False
        return True

    def _is_elsewhere(self) -> bool:
        return self._association.is_alive() and self._association is not threading.current_thread()


def _drop_late_primitives(association: Association) -> None:
    """Drop what this side still sends when the peer ends the association; pynetdicom's thread would fail and stop.

    If the peer asked for the release just before this side, the release is then confirmed at once: pynetdicom would
    wait for the peer's answer to a request that it has not sent.
    """
    dul = association.dul
    machine, act = dul.state_machine, dul.state_machine.do_action

    def act_unless_late(event: str) -> None:
        if event not in _OWN_PRIMITIVES or (event, machine.current_state) in TRANSITION_TABLE:
            act(event)
            return
        primitive = dul.to_provider_queue.get(block=False)
        if isinstance(primitive, A_RELEASE) and machine.current_state == RELEASE_REQUESTED_BY_PEER:
            primitive.result = "affirmative"
            dul.to_user_queue.put(primitive)

    machine.do_action = act_unless_late  # type: ignore[method-assign]


def _plain_pdu(association: Association, pdu: bytes) -> bytes:
    """Return a PDU of the peer in a form that pynetdicom understands."""
    requestor = association.requestor
    proposed = {one.context_id or 0: [str(uid) for uid in one.transfer_syntax] for one in requestor.requested_contexts}
    roles = {str(uid): (bool(one.scu_role), bool(one.scp_role)) for uid, one in requestor.role_selection.items()}
    return rewrite_answer(pdu, proposed, roles)


def _configure(connection: socket.socket, timeout: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Without this timeout a peer that stops reading in the middle of a data set would block the sending thread forever.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout * 1000))
    # Without keep-alive, the node would not detect that the host of a peer is down while it waits for an answer.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), max(1, round(timeout / 3)))
