"""An association with a peer: read commands, stream data sets to files and send responses, in one thread."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.scp import dimse, pdu
from glam_node.node.scp.contexts import VERIFICATION
from glam_node.node.scp.negotiation import AcceptedContext, Agreed
from glam_node.node.scp.refusals import tell_of_abort
from glam_node.node.scp.store import OnRefused, Storing

log = structlog.get_logger(__name__)

LONGEST_COMMAND = 65_536
LEAST_RATE = 1024
"""Minimum bytes per second, averaged over a message that takes longer than the timeout."""

LONGEST_DATA_SET = 4_194_304
"""Bytes of the data set of a command other than C-STORE: a storage commitment request for about 30,000 instances."""

OpenStore = Callable[[dimse.Command, AcceptedContext], Storing]
Commit = Callable[[dimse.Command, AcceptedContext, bytes], tuple[int, str]]
"""Function that returns status and error comment for an N-ACTION or N-EVENT-REPORT with this encoded data set."""


_SERVICES = {
    dimse.C_ECHO_RQ: VERIFICATION,
    dimse.N_ACTION_RQ: PUSH_MODEL,
    dimse.N_EVENT_REPORT_RQ: PUSH_MODEL,
}


@dataclass
class _Message:
    """The part of a message that has arrived."""

    context_id: int
    began: float = field(default_factory=time.monotonic)
    byte_count: int = 0
    command_set: bytearray = field(default_factory=bytearray)
    command: dimse.Command | None = None
    storing: Storing | None = None
    data_set: bytearray = field(default_factory=bytearray)
    """The data set of a command other than C-STORE; fragments after LONGEST_DATA_SET are dropped."""


class Association:
    """An association that was accepted; call `converse` once to serve it."""

    def __init__(
        self,
        stream: pdu.PDUStream,
        agreed: Agreed,
        open_store: OpenStore,
        commit: Commit,
        timeout_s: float,
        on_refused: OnRefused,
    ) -> None:
        self._stream = stream
        self._agreed = agreed
        self._contexts = agreed.contexts
        self._open_store = open_store
        self._commit = commit
        self._timeout_s = timeout_s
        self._on_refused = on_refused
        self._message: _Message | None = None
        self._stopping = threading.Event()
        self.answered: Counter[int] = Counter()
        """The number of C-STORE responses by status."""

    def ask_to_stop(self) -> bool:
        """End after the current message; return whether there is none, so that the connection may be cut now."""
        self._stopping.set()
        return self._message is None

    def converse(self) -> bytes:
        """Serve the association, log how it ended, and return the last PDU for the peer, empty if there is none."""
        failure: pdu.ConnectionLost | pdu.MalformedPDU | None = None
        last_word = b""
        try:
            self.serve()
        except pdu.Aborted as error:
            failure = error
        except pdu.ConnectionLost as error:
            failure, last_word = error, pdu.abort(pdu.BY_USER, pdu.NOT_SPECIFIED)
        except pdu.MalformedPDU as error:
            failure, last_word = error, pdu.abort(pdu.BY_PROVIDER, error.reason)
        stored = self.answered[dimse.SUCCESS]
        counts: dict[str, object] = {"stored": stored, "refused": self.answered.total() - stored}
        title, half_received = self._agreed.calling_ae_title, self._half_received()
        if failure is not None and (half_received or not isinstance(failure, pdu.Closed)):
            reason, address = f"{failure}{half_received}", self._agreed.address
            tell_of_abort(self._on_refused, reason, failure.remedy, address, title, **counts)
        else:
            log.info("association_ended", calling_ae_title=title, failure=str(failure or ""), **counts)
        return last_word

    def _half_received(self) -> str:
        """Return a clause that says what was being received, or an empty string if no message was."""
        if self._message is None:
            return ""
        return ", in the middle of an instance" if self._message.storing is not None else ", in the middle of a message"

    def serve(self) -> None:
        """Answer messages until the peer releases the association.

        Raises:
            ConnectionLost: The peer aborted, closed the connection, was silent or too slow; or the node is stopping.
            MalformedPDU: The peer violated the protocol.
        """
        try:
            while self._step():
                if self._stopping.is_set() and self._message is None:
                    raise pdu.Closed("the node is stopping")
        finally:
            if self._message is not None and self._message.storing is not None:
                self._message.storing.discard()

    def _step(self) -> bool:
        unit = self._stream.read()
        if unit.pdu_type == pdu.P_DATA_TF:
            for fragment in pdu.fragments(unit.body):
                self._take(*fragment)
            if not self._stream.holds_another:
                self._before_waiting()
            return True
        if unit.pdu_type == pdu.RELEASE_RQ:
            self._stream.send(pdu.release_rp())
            return False
        if unit.pdu_type == pdu.ABORT:
            raise pdu.Aborted("aborted by the peer")
        raise pdu.MalformedPDU(f"a PDU of type 0x{unit.pdu_type:02X} in an association", pdu.UNEXPECTED_PDU)

    def _before_waiting(self) -> None:
        """Write received fragments to the file before the next read reuses their memory; check the rate."""
        if self._message is None:
            return
        if self._message.storing is not None:
            self._message.storing.flush()
        elapsed = time.monotonic() - self._message.began
        if elapsed > self._timeout_s and self._message.byte_count < LEAST_RATE * elapsed:
            raise pdu.ConnectionLost(f"slower than {LEAST_RATE} bytes a second")

    def _take(self, context_id: int, is_command: bool, is_last: bool, data: memoryview) -> None:
        if context_id not in self._contexts:
            raise pdu.MalformedPDU(f"presentation context {context_id} was not accepted")
        message = self._message = self._message or _Message(context_id)
        if message.context_id != context_id or is_command != (message.command is None):
            raise pdu.MalformedPDU("the fragments of two messages are mixed")
        message.byte_count += len(data)
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
            command = message.command = dimse.decode(bytes(message.command_set))
        except dimse.MalformedCommand as error:
            raise pdu.MalformedPDU(f"command set: {error}") from error
        if command.command_field == dimse.C_STORE_RQ:
            message.storing = self._open_store(command, self._contexts[message.context_id])
        if not command.has_data_set:
            self._answer(message, command)

    def _take_data_set(self, message: _Message, is_last: bool, data: memoryview) -> None:
        if message.storing is not None:
            message.storing.write(data)
        elif len(message.data_set) <= LONGEST_DATA_SET:
            message.data_set += data
        if is_last and message.command is not None:
            self._answer(message, message.command)

    def _answer(self, message: _Message, command: dimse.Command) -> None:
        if message.storing is not None:
            status, comment = message.storing.finish()
            self.answered[status] += 1
        else:
            status, comment = self._without_storing(command, self._contexts[message.context_id], message.data_set)
        self._message = None
        if command.command_field != dimse.C_CANCEL_RQ:
            answer = dimse.response(command, status, comment)
            self._stream.send(pdu.p_data(message.context_id, answer, self._agreed.maximum_length))

    def _without_storing(
        self, command: dimse.Command, context: AcceptedContext, data_set: bytearray
    ) -> tuple[int, str]:
        if command.command_field not in _SERVICES:
            return dimse.UNRECOGNIZED_OPERATION, "this node supports only C-STORE, C-ECHO, storage commitment"
        if (
            command.sop_class_uid != context.abstract_syntax
            or command.sop_class_uid != _SERVICES[command.command_field]
        ):
            return dimse.SOP_CLASS_NOT_SUPPORTED, "the SOP class is not that of the presentation context"
        if command.command_field == dimse.C_ECHO_RQ:
            return dimse.SUCCESS, ""
        if len(data_set) > LONGEST_DATA_SET:
            return dimse.RESOURCE_LIMITATION, f"a data set of more than {LONGEST_DATA_SET} bytes"
        return self._commit(command, context, bytes(data_set))
