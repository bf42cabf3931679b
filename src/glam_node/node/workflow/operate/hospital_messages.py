"""HL7 messages of the hospital: each is checked, recorded together with its effect, and answered after the commit."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import DataError, StatementError
from sqlalchemy.orm import Session

from glam_node.node.db import imaging_orders
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.patient_change import ChangePolicy
from glam_node.node.errors import NodeError
from glam_node.node.hl7.answer import Rejected, Reply, encoded_reply, rejection
from glam_node.node.hl7.message import Message, NotHL7, parse, parse_header
from glam_node.node.hl7.orders import announced_orders
from glam_node.node.hl7.patients import merges, stated_patient
from glam_node.node.workflow.operate.imaging_orders import OrderPolicy, take_orders
from glam_node.node.workflow.operate.patient_changes import correct_patient, merge_patient
from glam_node.node.workflow.record.failure import describe

log = structlog.get_logger(__name__)

CORRECTIONS, MERGES = ("ADT^A08", "ADT^A31"), ("ADT^A40",)
ORDERS, REPORTS = ("ORM^O01", "OMI^O23"), ("ORU^R01",)
STATUS = "NMQ^N01"
"""Type of the message that asks whether the node listens; `doctor` sends it, and nothing is recorded."""
ACCEPTED_TYPES = (*CORRECTIONS, *MERGES, *ORDERS, *REPORTS, STATUS)
_LONGEST_SHOWN = 64


@dataclass(frozen=True, slots=True)
class MessagePolicy:
    """Settings that decide which messages are accepted, and what they do."""

    senders: Collection[tuple[str, str]]
    """Sending application and facility of each sender; an empty facility is any."""
    application: str
    """Receiving application of messages for this node; empty for any."""
    own_results: Collection[tuple[str, str]]
    """Sending application and facility of the node's own result messages, which an engine may send back."""
    undeclared: str
    """Codec of messages that declare no character set."""
    accession_fields: Sequence[str]
    changes: ChangePolicy
    orders: OrderPolicy

    def admits(self, application: str, facility: str) -> bool:
        """Return whether a sender may send."""
        return (application, facility) in self.senders or (application, "") in self.senders


RecordRefusal = Callable[[EventKind, EventDetail], None]


class HospitalMessages:
    """Answers messages; several threads may call it at the same time.

    Args:
        sessions: Database sessions.
        policy: The settings.
        record: Function that records a refusal, at a limited rate.
        guard: Function that returns a context manager, which turns errors of the database into errors of the node.
        now: Function that returns the time.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        policy: MessagePolicy,
        record: RecordRefusal,
        guard: Callable[[], AbstractContextManager[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sessions, self._policy, self._record = sessions, policy, record
        self._guard, self._now = guard, now

    def answer(self, data: bytes, address: str) -> bytes | None:
        """Take a message and return its acknowledgement; None for bytes that cannot be answered.

        A message is accepted (AA) when it is recorded; AE asks the sender to send it again, and AR says that it will
        never be accepted.
        """
        try:
            header = parse_header(data)
        except NotHL7 as error:
            self.refuse(address, "", f"the bytes are no HL7 message: the message {error}", "")
            return None
        reply = self._reply(data, header, address)
        control_id = secrets.token_hex(10).upper()
        return encoded_reply(reply, header, control_id, self._now().astimezone())

    def reject_unread(self, data: bytes, address: str, reason: str) -> bytes | None:
        """Return the rejection of a message of which only the beginning was read, such as one that is too long."""
        try:
            header = parse_header(data)
        except NotHL7:
            self.refuse(address, "", reason, "")
            return None
        error = Rejected(f"{reason}.", "207")
        self._note_rejection(header, address, error)
        return encoded_reply(rejection(error), header, secrets.token_hex(10).upper(), self._now().astimezone())

    def refuse(self, address: str, sender: str, reason: str, control_id: str, remedy: str = "") -> None:
        """Record a refusal."""
        detail: EventDetail = {"calling_ae_title": sender, "address": address, "reason": reason}
        if control_id:
            detail["control_id"] = control_id
        if remedy:
            detail["remedy"] = remedy
        self._record(EventKind.MESSAGE_REFUSED, detail)

    def _reply(self, data: bytes, header: Message, address: str) -> Reply:
        try:
            outcome = self._take(data, header)
        except Rejected as error:
            self._note_rejection(header, address, error)
            return rejection(error)
        except NodeError as error:
            log.warning("message_not_taken", control_id=_shown(header.control_id), failure=str(error))
            return Reply("AE", "The node cannot record the message at present. Send it again later.", "207")
        except Exception as error:  # a programming error must be neither acknowledged nor end the connection
            log.error("message_failed", control_id=_shown(header.control_id), failure=describe(error), exc_info=error)
            return Reply("AE", "The node failed to process the message. Send it again, and see the node's log.", "207")
        kind = _type_of(header)
        log.info("message_taken", control_id=_shown(header.control_id), message_type=kind, outcome=outcome)
        return Reply("AA")

    def _note_rejection(self, header: Message, address: str, error: Rejected) -> None:
        sender = "|".join(one for one in _sender(header) if one)
        self.refuse(address, _shown(sender), str(error), _shown(header.control_id))

    def _take(self, data: bytes, header: Message) -> str:
        """Check a message and record it with its effect; return what it did.

        Raises:
            Rejected: The message will never be accepted.
            NodeError: It cannot be recorded at present.
        """
        kind = self._checked_type(header)
        try:
            message = parse(data, self._policy.undeclared)
        except NotHL7 as error:
            raise Rejected(f"The message {error}.", "102", "MSH", 18) from None
        digest = hashlib.sha256(data).hexdigest()
        try:
            with self._guard(), self._sessions.begin() as session:
                if kind == STATUS:
                    session.connection()
                    return "listening"
                if not imaging_orders.add_message(session, digest, kind, self._now()):
                    return "repeated"
                return self._apply(session, kind, message)
        except StatementError as error:
            # Another kind of error is the database's; this value stays as it is, however often it is sent.
            if isinstance(error, DataError) or type(error) is StatementError:
                raise Rejected("The message has a value that the database cannot store.", "102") from error
            raise

    def _checked_type(self, header: Message) -> str:
        application, facility = _sender(header)
        if not self._policy.admits(application, facility):
            is_known = any(name == application for name, _ in self._policy.senders)
            raise Rejected("MSH-3 and MSH-4 are not in hl7.senders.", "103", "MSH", 4 if is_known else 3)
        if self._policy.application and header.header.component(5) != self._policy.application:
            raise Rejected("MSH-5 is not hl7.application: the message is for another system.", "103", "MSH", 5)
        if not header.control_id:
            raise Rejected("MSH-10 has no control ID.", "101", "MSH", 10)
        kind = _type_of(header)
        if kind not in ACCEPTED_TYPES:
            known = any(one.startswith(kind.partition("^")[0] + "^") for one in ACCEPTED_TYPES)
            code, accepted = ("201" if known else "200"), ", ".join(ACCEPTED_TYPES)
            raise Rejected(f"MSH-9 is none of {accepted}.", code, "MSH", 9)
        if kind in REPORTS and (application, facility) in self._policy.own_results:
            raise Rejected("The message is one that this node sent: an engine sends it back.", "103", "MSH", 3)
        return kind

    def _apply(self, session: Session, kind: str, message: Message) -> str:
        policy, control_id, now = self._policy, _shown(message.control_id), self._now()
        if kind in CORRECTIONS:
            return correct_patient(session, stated_patient(message), policy.changes, control_id, now)
        if kind in MERGES:
            found = merges(message)
            return "; ".join(merge_patient(session, one, policy.changes, control_id, now) for one in found)
        orders = announced_orders(message, policy.accession_fields, policy.changes.authority)
        return take_orders(session, orders, policy.orders, control_id, now)


def _sender(header: Message) -> tuple[str, str]:
    return header.header.component(3).strip(), header.header.component(4).strip()


def _type_of(header: Message) -> str:
    return f"{header.header.component(9).strip()}^{header.header.component(9, 2).strip()}"


def _shown(text: str) -> str:
    """Return text of a message for logs: printable, and not longer than a control ID or a name should be."""
    return "".join(one if one.isprintable() else "?" for one in text)[:_LONGEST_SHOWN]
