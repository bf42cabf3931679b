"""An HL7 engine on a raw socket that answers as a test wants, and messages to send to it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.hl7.message import Message, parse
from glam_node.node.hl7.mllp import FrameReader, framed

Answer = Callable[[socket.socket, Message], None]


def outgoing_in(directory: Path, control_id: str) -> OutgoingInstance:
    """Write a message with this control ID."""
    path = directory / f"{control_id}.hl7"
    patient = "PID|1||P77^^^HOSP||Muster^Anna||19600131|F"
    path.write_text(f"MSH|^~\\&|A||||20260101||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r{patient}\r", newline="")
    return OutgoingInstance("", control_id, "", path)


def acknowledgement(code: str, control_id: str, *more: str) -> bytes:
    """Return an acknowledgement in a frame, with further segments."""
    lines = ["MSH|^~\\&|||||||ACK|1|P|2.5.1", f"MSA|{code}|{control_id}", *more]
    return framed("".join(f"{line}\r" for line in lines).encode())


def accepting(connection: socket.socket, message: Message) -> None:
    """Accept a message."""
    connection.sendall(acknowledgement("AA", message.control_id))


class RawEngine:
    """An engine that calls `answer` with each message and its connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.messages: list[str] = []
        """Control IDs in the order of arrival."""
        self.received: list[bytes] = []
        """The messages as they arrived."""
        self.connections = 0

    def talk(self, connection: socket.socket) -> None:
        """Read messages until the other side closes the connection."""
        self.connections += 1
        reader = FrameReader(2**20)
        try:
            while received := connection.recv(4096):
                reader.add(received)
                while frame := reader.next():
                    message = parse(frame)
                    self.received.append(frame)
                    self.messages.append(message.control_id)
                    self.answer(connection, message)
        except OSError:
            return


@contextmanager
def raw_peer(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield the port of a peer that only calls `talk` with each connection and then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                talk(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextmanager
def raw(answer: Answer) -> Iterator[tuple[RawEngine, int]]:
    """Yield an engine and its port."""
    engine = RawEngine(answer)
    with raw_peer(engine.talk) as port:
        yield engine, port
