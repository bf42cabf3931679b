"""The HL7 port on real sockets over a real database: broken frames, silent senders, and a database that is away."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from glam_node.node.bootstrap.base_node import BaseNode
from glam_node.node.bootstrap.hospital import hospital_messages
from glam_node.node.db import migrate
from glam_node.node.db.engine import open_database
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.scp import hl7_listener
from glam_node.node.scp.hl7_listener import HL7Listener
from glam_node.node.storage.instances import InstanceStore
from glam_node.settings.hl7 import HL7ListenerSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.hl7.frames import exchange, framed_text
from tests.waiting import wait_until

PID = "PID|1||P1^^^HOSP||Muster^Anna||19600131|F"


def message(control_id: str, kind: str = "ADT^A08", *more: str) -> str:
    """Return a message of the RIS."""
    head = f"MSH|^~\\&|RIS||GLAMNODE||20260101||{kind}|{control_id}|P|2.5.1"
    return "".join(f"{line}\r" for line in (head, PID, *more))


@dataclass
class Port:
    """A running HL7 port, the file of its database, and what it refused."""

    number: int
    database: Path
    node: BaseNode
    listener: HL7Listener
    refused: list[EventDetail] = field(default_factory=list)

    def send(self, text: str) -> str:
        """Send a message and return the code of its answer."""
        return exchange(self.number, framed_text(text)).decode().split("MSA|")[1][:2]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    database = tmp_path / "glam-node.sqlite"
    migrate.upgrade(f"sqlite:///{database}")
    sessions = open_database(f"sqlite:///{database}")
    chosen = HL7ListenerSettings(port=1, senders=("RIS",))
    settings = Settings(hl7=chosen, storage=StorageSettings(root=tmp_path))
    node = BaseNode(settings, sessions, InstanceStore(tmp_path))
    opened = socket.create_server(("127.0.0.1", 0))
    refused: list[EventDetail] = []

    def record(_kind: EventKind, detail: EventDetail) -> None:
        refused.append(detail)

    listener = HL7Listener([opened], None, lambda _address: True, hospital_messages(node, record))
    listener.start()
    yield Port(opened.getsockname()[1], database, node, listener, refused)
    if not listener.is_stopping:
        listener.stop()
    sessions.kw["bind"].dispose()


def test_a_message_is_answered_with_ae_while_it_cannot_be_recorded(port: Port) -> None:
    port.node.sessions.kw["bind"].dispose()
    away = port.database.rename(port.database.with_suffix(".away"))
    assert port.send(message("1")) == "AE"
    assert port.send(message("1", "NMQ^N01")) == "AE"
    away.rename(port.database)
    assert port.send(message("1")) == "AA"


def test_broken_frames_and_silent_connections_harm_no_other_sender(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hl7_listener, "FRAME_TIMEOUT_S", 1.0)
    monkeypatch.setattr(hl7_listener, "MAXIMUM_MESSAGE_BYTES", 100_000)
    monkeypatch.setattr(hl7_listener, "MAXIMUM_CONNECTIONS", 8)
    with ExitStack() as silent:
        for number in range(20):
            opened = silent.enter_context(socket.create_connection(("127.0.0.1", port.number)))
            if number % 2:
                opened.sendall(b"\x0bMSH|^~\\&|RIS")
        assert port.send(message("2")) == "AA"
        assert b"MSA|AR|3" in exchange(port.number, b"\x0b" + message("3", "ADT^A08", "X" * 200_000).encode())
        assert exchange(port.number, b"GET / HTTP/1.1\r\n" + b"x" * 4096) == b""
        assert exchange(port.number, b"\x0bno message at all\x1c\r") == b""
        wait_until(lambda: any("did not end within 1 s" in one["reason"] for one in port.refused))
        assert port.send(message("4")) == "AA"
    reasons = " ".join(one["reason"] for one in port.refused)
    assert "more than" in reasons
    assert "no HL7 message in a frame of MLLP" in reasons
    assert "does not begin with MSH" in reasons


def test_a_message_on_an_open_connection_is_answered_while_the_listener_stops(port: Port) -> None:
    with socket.create_connection(("127.0.0.1", port.number), timeout=30) as opened, ThreadPoolExecutor() as pool:
        opened.sendall(framed_text(message("11")))
        assert b"MSA|AA|11" in opened.recv(65_536)
        stopping = pool.submit(port.listener.stop)
        wait_until(lambda: port.listener.is_stopping)
        opened.sendall(framed_text(message("12")))
        assert b"MSA|AA|12" in opened.recv(65_536)
        stopping.result(30)
        assert opened.recv(65_536) == b""


def test_several_messages_and_their_answers_share_a_connection(port: Port) -> None:
    both = framed_text(message("5")) + framed_text(message("6"))
    with socket.create_connection(("127.0.0.1", port.number), timeout=30) as opened:
        opened.sendall(both[:100])
        opened.sendall(both[100:])
        received = b""
        while received.count(b"\x1c\r") < 2:
            received += opened.recv(65_536)
    assert [part[:4] for part in received.split(b"MSA|")[1:]] == [b"AA|5", b"AA|6"]


@pytest.mark.parametrize(("stated", "code"), [("AL", b"CA"), ("NE", b"AA"), ("", b"AA")])
def test_the_mode_of_acknowledgement_is_that_of_the_message(port: Port, stated: str, code: bytes) -> None:
    text = message("7").replace("|2.5.1", f"|2.5.1|||{stated}|NE")
    assert b"MSA|" + code in exchange(port.number, framed_text(text))


@pytest.mark.parametrize("declared", ["8859/1", "UNICODE UTF-8"])
def test_a_message_that_is_not_in_its_declared_character_set_is_rejected(port: Port, declared: str) -> None:
    text = message("8").replace("|2.5.1", f"|2.5.1||||||{declared}").replace("Anna", "Ännä")
    good = "latin-1" if declared == "8859/1" else "utf-8"
    assert b"MSA|AA" in exchange(port.number, b"\x0b" + text.encode(good) + b"\x1c\r")
    wrong = b"\x0b" + text.replace("UNICODE UTF-8", "KANJI").encode(good) + b"\x1c\r"
    if declared == "UNICODE UTF-8":
        assert b"MSA|AR" in exchange(port.number, wrong)


def test_a_result_that_the_node_sent_itself_is_rejected(port: Port) -> None:
    own = message("9", "ORU^R01", "OBR|1|A|A|MG||||||||||||||A-1|||||||F")
    assert port.send(own) == "AA"
    assert port.send(own.replace("|RIS|", "|GLAMNODE|").replace("|9|", "|10|")) == "AR"
