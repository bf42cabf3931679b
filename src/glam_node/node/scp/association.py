"""An association with a peer: read commands, stream data sets to files and send responses, in one thread."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import structlog

from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.domain.event import EventDetail
from glam_node.node.scp import dimse, pdu
from glam_node.node.scp.association_context import AssociationContext
from glam_node.node.scp.commitment import commit
from glam_node.node.scp.contexts import VERIFICATION
from glam_node.node.scp.negotiation import AcceptedContext
from glam_node.node.scp.store import StoreOperation, begin_store

log = structlog.get_logger(__name__)

LONGEST_COMMAND = 65_536
MINIMUM_BYTES_PER_SECOND = 1024
"""Minimum bytes per second, averaged over a message that takes longer than the timeout."""

LONGEST_DATA_SET = 4_194_304
"""Maximum length in bytes of the data set of a command other than C-STORE.

A storage commitment request for about 30,000 instances has this length.
"""

_SERVICES = {
    dimse.C_ECHO_RQ: VERIFICATION,
    dimse.N_ACTION_RQ: PUSH_MODEL,
    dimse.N_EVENT_REPORT_RQ: PUSH_MODEL,
}


@dataclass
class _PartialMessage:
    """The part of a message that has arrived."""

    context_id: int
    started: float = field(default_factory=time.monotonic)
    byte_count: int = 0
    command_set: bytearray = field(default_factory=bytearray)
    command: dimse.Command | None = None
    storing: StoreOperation | None = None
    data_set: bytearray = field(default_factory=bytearray)
    """The data set of a command other than C-STORE; once it exceeds LONGEST_DATA_SET, further fragments are dropped."""


class Association:
    """An accepted association; call `serve` once."""

    def __init__(self, stream: pdu.PDUStream, context: AssociationContext) -> None:
        self._stream = stream
        self._context = context
        self._timeout_s = context.receiver.node.network_timeout
        self._message: _PartialMessage | None = None
        self._stopping = threading.Event()
        self.answered: Counter[int] = Counter()
        """The number of C-STORE responses by status."""

    def ask_to_stop(self) -> bool:
        """Request the end after the current message; return True if there is none and the connection may be cut."""
        self._stopping.set()
        return self._message is None

    def serve(self) -> bytes:
        """Serve the association, log how it ended, and return the last PDU for the peer, empty if there is none."""
        failure: pdu.ConnectionLost | pdu.MalformedPDU | None = None
        last_pdu = b""
        try:
            self._answer_until_release()
        except pdu.Aborted as error:
            failure = error
        except pdu.ConnectionLost as error:
            failure, last_pdu = error, pdu.abort(pdu.BY_USER, pdu.NOT_SPECIFIED)
        except pdu.MalformedPDU as error:
            failure, last_pdu = error, pdu.abort(pdu.BY_PROVIDER, error.reason)
        stored = self.answered[dimse.SUCCESS]
        counts: EventDetail = {"stored": stored, "refused": self.answered.total() - stored}
        title, half_received = self._context.calling_ae_title, self._half_received()
        if failure is not None and (half_received or not isinstance(failure, pdu.Closed)):
            reason, address = f"{failure}{half_received}", self._context.address
            self._context.receiver.record_abort(reason, failure.remedy, address, title, **counts)
        else:
            log.info("association_ended", calling_ae_title=title, failure=str(failure or ""), **counts)
        return last_pdu

    def _half_received(self) -> str:
        """Return words that state whether an instance or another message was being received; empty for neither."""
        if self._message is None:
            return ""
        return ", in the middle of an instance" if self._message.storing is not None else ", in the middle of a message"

    def _answer_until_release(self) -> None:
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
                self._take_fragment(*fragment)
            if not self._stream.has_whole_pdu:
                self._flush_and_check_rate()
            return True
        if unit.pdu_type == pdu.RELEASE_RQ:
            self._stream.send(pdu.release_rp())
            return False
        if unit.pdu_type == pdu.ABORT:
            raise pdu.Aborted("aborted by the peer")
        raise pdu.MalformedPDU(f"a PDU of type 0x{unit.pdu_type:02X} in an association", pdu.UNEXPECTED_PDU)

    def _flush_and_check_rate(self) -> None:
        """Write received fragments to the file before the next read reuses their memory; check the transfer rate."""
        if self._message is None:
            return
        if self._message.storing is not None:
            self._message.storing.flush()
        elapsed = time.monotonic() - self._message.started
        if elapsed > self._timeout_s and self._message.byte_count < MINIMUM_BYTES_PER_SECOND * elapsed:
            raise pdu.ConnectionLost(f"slower than {MINIMUM_BYTES_PER_SECOND} bytes a second")

    def _take_fragment(self, context_id: int, is_command: bool, is_last: bool, data: memoryview) -> None:
        if context_id not in self._context.contexts:
            raise pdu.MalformedPDU(f"presentation context {context_id} was not accepted")
        message = self._message = self._message or _PartialMessage(context_id)
        if message.context_id != context_id or is_command != (message.command is None):
            raise pdu.MalformedPDU("the fragments of two messages are mixed")
        message.byte_count += len(data)
        if is_command:
            self._take_command(message, is_last, data)
        else:
            self._take_data_set(message, is_last, data)

    def _take_command(self, message: _PartialMessage, is_last: bool, data: memoryview) -> None:
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
            message.storing = begin_store(command, self._context.contexts[message.context_id], self._context)
        if not command.has_data_set:
            self._answer(message, command)

    def _take_data_set(self, message: _PartialMessage, is_last: bool, data: memoryview) -> None:
        if message.storing is not None:
            message.storing.write(data)
        elif len(message.data_set) <= LONGEST_DATA_SET:
            message.data_set += data
        if is_last and message.command is not None:
            self._answer(message, message.command)

    def _answer(self, message: _PartialMessage, command: dimse.Command) -> None:
        if message.storing is not None:
            status, comment = message.storing.finish()
            self.answered[status] += 1
        else:
            context = self._context.contexts[message.context_id]
            status, comment = self._answer_other_command(command, context, message.data_set)
        self._message = None
        if command.command_field != dimse.C_CANCEL_RQ:
            answer = dimse.response(command, status, comment)
            self._stream.send(pdu.p_data(message.context_id, answer, self._context.maximum_length))

    def _answer_other_command(
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
        return commit(command, context, bytes(data_set), self._context)
