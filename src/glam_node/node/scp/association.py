"""One association, served by one thread: commands in, data sets straight to a file, answers out."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from glam_node.node.scp import dimse, pdu
from glam_node.node.scp.negotiation import AcceptedContext
from glam_node.node.scp.store import Storing

log = structlog.get_logger(__name__)

LONGEST_COMMAND = 65_536

OpenStore = Callable[[dimse.Command, AcceptedContext], Storing]


@dataclass
class _Message:
    """What has arrived of one message."""

    context_id: int
    command_set: bytearray = field(default_factory=bytearray)
    command: dimse.Command | None = None
    storing: Storing | None = None


class Association:
    """An association that was accepted; `serve` returns when it is over, whoever ended it."""

    def __init__(
        self,
        connection: socket.socket,
        reader: pdu.PDUReader,
        contexts: dict[int, AcceptedContext],
        open_store: OpenStore,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._contexts = contexts
        self._open_store = open_store
        self._message: _Message | None = None
        self._stopping = threading.Event()

    def ask_to_stop(self) -> bool:
        """Whether nothing is half received, so that the association may end now; else it ends after that."""
        self._stopping.set()
        return self._message is None

    def serve(self) -> None:
        """Answer until release, abort, silence or nonsense. Raises ConnectionLost, MalformedPDU."""
        try:
            while self._step():
                if self._stopping.is_set() and self._message is None:
                    self._connection.sendall(pdu.abort(2, 0))
                    return
        finally:
            if self._message is not None and self._message.storing is not None:
                self._message.storing.discard()

    def _step(self) -> bool:
        unit = self._reader.read()
        if unit.pdu_type == pdu.P_DATA_TF:
            for fragment in pdu.fragments(unit.body):
                self._take(*fragment)
            return True
        if unit.pdu_type == pdu.RELEASE_RQ:
            self._connection.sendall(pdu.release_rp())
            return False
        if unit.pdu_type == pdu.ABORT:
            return False
        raise pdu.MalformedPDU(f"unexpected PDU of type 0x{unit.pdu_type:02X}")

    def _take(self, context_id: int, is_command: bool, is_last: bool, data: memoryview) -> None:
        if context_id not in self._contexts:
            raise pdu.MalformedPDU(f"presentation context {context_id} was not accepted")
        message = self._message = self._message or _Message(context_id)
        if message.context_id != context_id or is_command != (message.command is None):
            raise pdu.MalformedPDU("the fragments of two messages are mixed")
        if is_command:
            self._take_command(message, is_last, data)
        else:
            self._take_data_set(message, is_last, data)

    def _take_command(self, message: _Message, is_last: bool, data: memoryview) -> None:
        message.command_set += data
        if len(message.command_set) > LONGEST_COMMAND:
            raise pdu.MalformedPDU("a command set without an end")
        if not is_last:
            return
        try:
            message.command = dimse.decode(bytes(message.command_set))
        except dimse.MalformedCommand as error:
            raise pdu.MalformedPDU(f"command set: {error}") from error
        if message.command.command_field == dimse.C_STORE_RQ and message.command.has_data_set:
            message.storing = self._open_store(message.command, self._contexts[message.context_id])
        if not message.command.has_data_set:
            self._answer(message)

    def _take_data_set(self, message: _Message, is_last: bool, data: memoryview) -> None:
        if message.storing is not None:
            message.storing.write(data)
        if is_last:
            self._answer(message)

    def _answer(self, message: _Message) -> None:
        command = message.command
        assert command is not None  # noqa: S101 - _take_command has set it
        self._message = None
        if message.storing is not None:
            status, comment = message.storing.finish()
        elif command.command_field == dimse.C_ECHO_RQ:
            status, comment = dimse.SUCCESS, ""
        else:
            status, comment = dimse.UNRECOGNIZED_OPERATION, "this node takes C-STORE and C-ECHO"
        answer = dimse.response(command, status, comment)
        self._connection.sendall(pdu.p_data(message.context_id, answer))
