"""HL7 v2 messages over MLLP: each message is sent until the engine acknowledges it."""

import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import TransientError
from glam_node.node.hl7.message import ACCEPTED, REJECTED, Acknowledgement, Message, NotHL7, acknowledgement_in, parse
from glam_node.node.hl7.mllp import FrameReader, TooLong, framed
from glam_node.node.hl7.text import unescape
from glam_node.node.scu.tls import PeerTLS, handshake_failure, peer_tls
from glam_node.settings.destinations import HL7Settings

MAXIMUM_ANSWER_BYTES = 2**18
LONGEST_TEXT = 80
"""Maximum number of characters of an engine's own words in a failure."""
_READ_AT_ONCE = 65_536
_IDENTITY = (3, 5, 7)
"""Fields of PID with the patient's IDs, names and birth date."""


@dataclass(frozen=True, slots=True)
class HL7Peer:
    """An HL7 engine that the node calls."""

    name: str
    """The NAME of [destinations.NAME]."""
    host: str
    port: int
    timeout: float
    """Seconds to wait for the connection, and for the acknowledgement of a message."""
    tls: PeerTLS | None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for the socket library."""
        return self.host, self.port

    def __str__(self) -> str:
        return f"HL7 engine {self.host}:{self.port}{' (TLS)' if self.tls is not None else ''}"


def hl7_peer(name: str, destination: HL7Settings) -> HL7Peer:
    """Return the engine that [destinations.NAME] describes."""
    tls = peer_tls(f"destinations.{name}", destination)
    return HL7Peer(name, destination.host, destination.port, destination.timeout, tls)


class HL7Destination:
    """An HL7 engine that takes messages over MLLP; each call of `store` is one connection.

    A message counts as delivered when an acknowledgement with its control ID accepts it.
    """

    def __init__(self, peer: HL7Peer) -> None:
        self._peer = peer

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._peer.name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Send messages and return the outcome of each, in order, from its own acknowledgement.

        No error is raised if the engine fails; the outcomes state the failure.
        """
        outcomes: list[StoreOutcome] = []
        if not instances:
            return outcomes
        answered = is_open = False
        try:
            with _connected(self._peer) as connection:
                is_open = True
                for instance in instances:
                    outcomes.append(self._store_one(connection, instance))
                    answered = answered or connection.has_answered
        except TransientError as error:
            # If no message was acknowledged on the connection, the message that was being sent may be the cause.
            if is_open and not answered:
                uid = instances[len(outcomes)].sop_instance_uid
                outcomes.append(StoreOutcome(uid, False, None, True, str(error), broke_off=True))
            outcomes += [
                StoreOutcome(one.sop_instance_uid, False, None, True, str(error), reached=False)
                for one in instances[len(outcomes) :]
            ]
        return outcomes

    def _store_one(self, connection: "_Connection", instance: OutgoingInstance) -> StoreOutcome:
        uid = instance.sop_instance_uid
        try:
            data = instance.path.read_bytes()
            message = parse(data)
        except (OSError, NotHL7) as error:
            return StoreOutcome(uid, False, None, True, _unreadable(instance.path, error))
        answer = connection.exchange(data, message.control_id)
        if answer.code in ACCEPTED:
            return StoreOutcome(uid, True, None, False, "")
        rejected = answer.code in REJECTED
        remedy = _REJECTED if rejected else _FAILED
        failure = (
            f"{self._peer} answered {_told(answer, message)} to message {message.control_id}. "
            f"{remedy.format(name=self.name)}"
        )
        return StoreOutcome(uid, False, None, not rejected, failure)


_REJECTED = (
    "Correct the cause at the engine or in destinations.{name}.template, then send the message again with "
    "`glam-node study retry`."
)
_FAILED = "The node tries again. Check the engine's log and destinations.{name}.template."


class _Connection:
    """An open connection to an engine, on which one message at a time is sent and acknowledged."""

    def __init__(self, peer: HL7Peer, opened: socket.socket) -> None:
        self._peer, self._socket = peer, opened
        self._reader = FrameReader(MAXIMUM_ANSWER_BYTES)
        self.has_answered = False

    def exchange(self, message: bytes, control_id: str) -> Acknowledgement:
        """Send a message and return its acknowledgement; those of other messages are ignored.

        Raises:
            TransientError: The engine did not acknowledge the message in time.
        """
        deadline = time.monotonic() + self._peer.timeout
        try:
            self._socket.settimeout(self._peer.timeout)
            self._socket.sendall(framed(message))
            while True:
                answer = acknowledgement_in(self._next_frame(deadline))
                if answer is not None and answer.control_id == control_id:
                    self.has_answered = True
                    return answer
        except OSError as error:
            raise _no_answer(self._peer, f"acknowledge message {control_id}", error) from error
        except TooLong:
            raise TransientError(
                f"{self._peer} answered message {control_id} with more than {MAXIMUM_ANSWER_BYTES} bytes without an "
                f"end. Check that destinations.{self._peer.name}.port is that of an HL7 engine (MLLP)."
            ) from None

    def _next_frame(self, deadline: float) -> bytes:
        while (frame := self._reader.next()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
            received = self._socket.recv(_READ_AT_ONCE)
            if not received and self._reader.ignored:
                raise TransientError(
                    f"{self._peer} answered with {self._reader.ignored} bytes that are no HL7 message, and closed the "
                    f"connection. Check that destinations.{self._peer.name}.port is that of an HL7 engine (MLLP)."
                )
            if not received:
                raise ConnectionResetError("it closed the connection")
            self._reader.add(received)
        return frame


@contextmanager
def _connected(peer: HL7Peer) -> Iterator[_Connection]:
    """Yield an open connection, with TLS if the settings say so.

    Raises:
        TransientError: The engine cannot be reached, or TLS failed.
    """
    context = peer.tls.context() if peer.tls is not None else None
    try:
        opened = socket.create_connection(peer.address, timeout=peer.timeout)
    except OSError as error:
        raise _no_answer(peer, "accept a connection", error) from error
    with opened:
        if context is None or peer.tls is None:
            yield _Connection(peer, opened)
            return
        try:
            secured = context.wrap_socket(opened, server_hostname=peer.tls.server_name)
        except OSError as error:
            raise _no_tls(peer, peer.tls, error) from error
        with secured:
            yield _Connection(peer, secured)


def check_engine(peer: HL7Peer) -> str:
    """Check that an engine accepts a connection; no message is sent, since each would be taken for a result.

    Returns:
        A sentence that confirms the connection.

    Raises:
        TransientError: The connection failed.
    """
    with _connected(peer):
        if peer.tls is not None and (failure := handshake_failure(peer.tls, peer.address, peer.timeout)):
            raise TransientError(f"{peer}: {failure}.")
    return f"{peer} accepts connections. No message was sent."


def _no_tls(peer: HL7Peer, tls: PeerTLS, error: OSError) -> TransientError:
    try:
        failure = handshake_failure(tls, peer.address, peer.timeout) if isinstance(error, ssl.SSLError) else None
    except OSError:
        failure = None
    return TransientError(f"{peer}: {failure}.") if failure else _no_answer(peer, "agree on TLS", error)


def _no_answer(peer: HL7Peer, asked: str, error: OSError) -> TransientError:
    section = f"destinations.{peer.name}"
    is_late = isinstance(error, TimeoutError)
    slow = f", or raise {section}.timeout ({peer.timeout:g} s)" if is_late else ""
    reason = "it gave no answer in time" if is_late else unstopped(error.strerror or error).lower()
    return TransientError(
        f"{peer} did not {asked}: {reason}. Is it running? Check {section}.host and {section}.port{slow}."
    )


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be sent: {unstopped(error)}. The node tries again. Restore the file if that fails."


def _told(answer: Acknowledgement, message: Message) -> str:
    """Return an acknowledgement in words, without text that names the patient."""
    code = answer.code if answer.code.isalnum() and len(answer.code) <= LONGEST_TEXT else "an unknown code"
    error = f"error {answer.error}" if re.fullmatch(r"\w{1,20}", answer.error) else ""
    place = f"at {answer.place}" if answer.place else ""
    details = " ".join(one for one in (error, place) if one)
    said = "".join(one if one.isprintable() else " " for one in answer.text).strip()[:LONGEST_TEXT]
    if said and _names_the_patient(message, said):
        said = "its words name the patient and are left out"
    return code + (f" ({details})" if details else "") + (f": {unstopped(said)}" if said else "")


def _names_the_patient(message: Message, text: str) -> bool:
    """Return whether a text contains a part of an ID, the name or the birth date in the message."""
    patient = message.first("PID")
    if patient is None:
        return False
    parts = [part for field in _IDENTITY for part in re.split(r"[\^~&\s]+", patient.field(field))]
    return any(len(part) > 1 and unescape(part).casefold() in text.casefold() for part in parts)
