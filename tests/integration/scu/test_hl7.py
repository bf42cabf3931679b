"""Delivery of HL7 messages over MLLP to engines that answer, misbehave or are down."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.hl7.message import Message, parse
from glam_node.node.hl7.mllp import framed
from glam_node.node.scu.echo import echo
from glam_node.node.scu.hl7 import HL7Destination, hl7_peer
from glam_node.settings.destinations import HL7Settings
from tests.certificates import Authority
from tests.hl7.engine import running_engine
from tests.hl7.raw_engine import accepting, acknowledgement, outgoing_in, raw, raw_peer
from tests.ports import free_port
from tests.system.tls_front import tls_in_front_of
from tests.waiting import wait_until

TIMEOUT_S = 1.0


Write = Callable[[str], OutgoingInstance]


@pytest.fixture
def outgoing_message(tmp_path: Path) -> Write:
    """Return a function that writes one message with this control ID."""
    return partial(outgoing_in, tmp_path)


def destination_at(port: int, timeout: float = TIMEOUT_S, **more: object) -> HL7Destination:
    settings = HL7Settings.model_validate({"kind": "hl7", "port": port, "timeout": timeout, **more})
    return HL7Destination(hl7_peer("ris", settings))


def seen(outcomes: list[StoreOutcome]) -> list[tuple[bool, bool, bool]]:
    """Return whether each message was stored, may be tried again, and reached the engine."""
    return [(one.stored, one.transient, one.reached) for one in outcomes]


@pytest.mark.peer("node")
@pytest.mark.peer("hl7-engine")
@pytest.mark.parametrize("enhanced", [False, True])
def test_an_engine_of_another_maker_acknowledges_each_message(
    enhanced: bool, outgoing_message: Write, tmp_path: Path
) -> None:
    with running_engine(tmp_path / "engine", free_port(), enhanced=enhanced) as engine:
        outcomes = destination_at(engine.port, 20).store([outgoing_message("A"), outgoing_message("B")])
        assert seen(outcomes) == [(True, False, True)] * 2
        # In enhanced mode the engine answers before it handles a message.
        wait_until(lambda: [parse(one.encode()).control_id for one in engine.messages()] == ["A", "B"])


@pytest.mark.peer("node")
@pytest.mark.peer("hl7-engine")
def test_tls_is_verified_and_used(outgoing_message: Write, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    theirs, ours = authority.sign("engine"), authority.sign("node")
    mutual = {"tls": True, "ca": str(ours.ca), "certificate": str(ours.certificate), "key": str(ours.key)}
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine(tmp_path / "engine", free_port()))
        front = stack.enter_context(tls_in_front_of(engine.port, theirs))
        (outcome,) = destination_at(front, 20, **mutual).store([outgoing_message("A")])
        assert outcome.stored, outcome.failure
        settings = HL7Settings.model_validate({"kind": "hl7", "port": front, "timeout": 5, **mutual})
        assert echo("ris", settings, "X").ok
        for trust in ({}, {"ca": str(ours.ca)}):
            (refused,) = destination_at(front, 5, tls=True, **trust).store([outgoing_message("B")])
            assert (refused.stored, refused.transient) == (False, True)
            assert "destinations.ris" in refused.failure
        assert len(engine.messages()) == 1


@pytest.mark.parametrize(
    ("code", "transient"), [("AE", True), ("CE", True), ("AR", False), ("CR", False), ("", True), ("ZZ", True)]
)
def test_only_a_rejection_is_permanent_and_the_next_message_is_still_sent(
    code: str, transient: bool, outgoing_message: Write
) -> None:
    error = "ERR||PID^1^3|204^Unknown key^HL70357|E||||unknown"

    def answer(connection: socket.socket, message: Message) -> None:
        is_first = message.control_id == "A"
        connection.sendall(acknowledgement(*(code, "A", error) if is_first else ("AA", "B")))

    with raw(answer) as (_, port):
        first, second = destination_at(port).store([outgoing_message("A"), outgoing_message("B")])
    assert seen([first, second]) == [(False, transient, True), (True, False, True)]
    assert "error 204 at PID-3" in first.failure
    assert ("glam-node study retry" in first.failure) is not transient


def test_words_of_the_engine_that_name_the_patient_are_left_out(outgoing_message: Write) -> None:
    said = ["patient P77 is not known", "MUSTER not found", "born 19600131", "busy"]
    for text in said:
        answer = acknowledgement("AE", "A", f"ERR|||207^internal^HL70357|E||||{text}")
        with raw(partial(answering, answer)) as (_, port):
            (outcome,) = destination_at(port).store([outgoing_message("A")])
        assert (text in outcome.failure) is (text == "busy"), outcome.failure


def test_an_acknowledgement_of_another_message_is_ignored(outgoing_message: Write) -> None:
    def answer(connection: socket.socket, message: Message) -> None:
        connection.sendall(acknowledgement("AR", "other") + framed(b"garbage") + b"noise" + acknowledgement("AE", ""))
        connection.sendall(acknowledgement("CA", message.control_id) + acknowledgement("AA", message.control_id))

    with raw(answer) as (engine, port):
        outcomes = destination_at(port).store([outgoing_message("A"), outgoing_message("B")])
    assert seen(outcomes) == [(True, False, True)] * 2
    assert engine.connections == 1


def answering(answer: bytes, connection: socket.socket, _: Message) -> None:
    connection.sendall(answer)


def mute(connection: socket.socket, _: Message) -> None:
    """Keep the connection open and say nothing."""


def closing(connection: socket.socket, _: Message) -> None:
    connection.shutdown(socket.SHUT_WR)


def garbage(connection: socket.socket, _: Message) -> None:
    connection.sendall(bytes(range(256)) * 8)


def unframed(connection: socket.socket, _: Message) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)


def endless(connection: socket.socket, _: Message) -> None:
    connection.sendall(b"\x0bMSH|^~\\&|" + b"x" * 2**19)


def of_another(connection: socket.socket, _: Message) -> None:
    connection.sendall(acknowledgement("AA", "other"))


def dribbling(connection: socket.socket, message: Message) -> None:
    for byte in acknowledgement("AA", message.control_id):
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


@pytest.mark.parametrize("misbehaves", [mute, closing, garbage, unframed, endless, of_another, dribbling])
def test_a_message_that_is_not_acknowledged_in_time_is_sent_again(
    misbehaves: Callable[[socket.socket, Message], None], outgoing_message: Write
) -> None:
    with raw(misbehaves) as (engine, port):
        started = time.monotonic()
        outcomes = destination_at(port).store([outgoing_message("A"), outgoing_message("B")])
        assert time.monotonic() - started < 5 * TIMEOUT_S
        assert seen(outcomes) == [(False, True, True), (False, True, False)]
        assert outcomes[0].broke_off
        assert "destinations.ris.port" in outcomes[0].failure
        engine.answer = accepting
        assert seen(destination_at(port).store([outgoing_message("A")])) == [(True, False, True)]
    assert engine.messages.count("A") == 2


def test_an_answer_that_is_no_hl7_is_not_taken_for_a_program_that_does_not_run(outgoing_message: Write) -> None:
    with raw(unframed) as (_, port):
        (outcome,) = destination_at(port).store([outgoing_message("A")])
    assert "answered with 28 bytes that are no HL7 message" in outcome.failure


def test_an_engine_that_closes_after_the_first_message_gets_the_second_again(outgoing_message: Write) -> None:
    def answer(connection: socket.socket, message: Message) -> None:
        connection.sendall(acknowledgement("AA", message.control_id))
        connection.shutdown(socket.SHUT_RDWR)

    with raw(answer) as (_, port):
        outcomes = destination_at(port).store([outgoing_message("A"), outgoing_message("B")])
    assert seen(outcomes) == [(True, False, True), (False, True, False)]
    assert not outcomes[1].broke_off


def test_an_engine_that_does_not_read_ends_the_attempt(outgoing_message: Write, tmp_path: Path) -> None:
    path = tmp_path / "long.hl7"
    path.write_bytes(b"MSH|^~\\&|A||||2026||ORU^R01|L|P|2.5.1\rOBX|" + b"x" * 2**25 + b"\r")
    done = threading.Event()

    def wait(_: socket.socket) -> None:
        done.wait(10)

    with raw_peer(wait) as port:
        (outcome,) = destination_at(port).store([OutgoingInstance("", "L", "", path)])
        done.set()
    assert (outcome.stored, outcome.transient) == (False, True)


def test_echo_sends_no_message(outgoing_message: Write) -> None:
    with raw(mute) as (engine, port):
        report = echo("ris", HL7Settings(kind="hl7", port=port), "X")
    assert report.ok, report.message
    assert engine.messages == []
