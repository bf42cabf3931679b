"""Odd answers of archives: results are delivered as DCMTK's storescu delivers them, and failures are found in time."""

import contextlib
import itertools
import socket
import struct
import subprocess
import time
from collections.abc import Callable

import pytest

from glam_node.node.domain.commitment import Reference
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.errors import TransientError
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.commitment import request_commitment
from glam_node.node.scu.echo import survey
from glam_node.node.scu.find import count_mammograms
from glam_node.node.scu.requesting_ae import Checkpoint
from glam_node.node.scu.store import CStoreDestination
from glam_node.settings.destinations import CStoreSettings
from tests.hl7.raw_engine import raw_peer
from tests.integration.scp.raw import element, p_data, pdv
from tests.integration.scu.acceptances import ODD, REFUSED, Answer, first_context, read_pdu
from tests.integration.scu.conftest import Outgoing, peer_at
from tests.peers import PEERS
from tests.waiting import wait_until

TIMEOUT_S = 1.0


def archive(answer: Answer, ending: bytes = b"", *, answers: bool = True) -> Callable[[socket.socket], None]:
    """Return an archive that gives this answer to an association request, and success to every C-STORE and C-ECHO.

    Args:
        answer: The answer to the association request.
        ending: PDUs that the archive sends after each of its successes.
        answers: Whether it sends the successes.
    """

    def talk(connection: socket.socket) -> None:
        connection.settimeout(20)
        # The end of the connection and the diagnosis of the protocol are not requests.
        with contextlib.suppress(OSError, ValueError, IndexError):
            _, request = read_pdu(connection)
            number, syntax = first_context(request)
            connection.sendall(answer(number, syntax))
            command = b""
            while True:
                kind, data = read_pdu(connection)
                if kind == 5:
                    connection.sendall(struct.pack(">BBII", 6, 0, 4, 0))
                if kind != 4:
                    return
                command += data[6:] if data[5] & 1 else b""
                if data[5] & 2 and (not data[5] & 1 or command.endswith(element(0x0800, b"\1\1"))):
                    connection.sendall((_success(command, number) if answers else b"") + ending)
                    command = b""

    return talk


def _success(command: bytes, number: int) -> bytes:
    """Return the answer to a C-STORE or C-ECHO."""
    at = command.index(struct.pack("<HHI", 0, 0x0100, 2)) + 8
    body = element(0x0100, bytes([command[at], 0x80])) + element(0x0120, b"\1\0")
    body += element(0x0800, b"\1\1") + element(0x0900, b"\0\0")
    return p_data(pdv(element(0, struct.pack("<I", len(body))) + body, command=True, last=True, context_id=number))


def outcome_of(answer: Answer, result: OutgoingInstance) -> tuple[StoreOutcome, float]:
    """Return the outcome of one C-STORE at an archive with this answer, and its duration."""
    with raw_peer(archive(answer)) as port:
        started = time.monotonic()
        (outcome,) = CStoreDestination(peer_at(port, timeout=TIMEOUT_S)).store([result])
        return outcome, time.monotonic() - started


def test_a_result_is_delivered_whatever_is_odd_in_the_answer(outgoing: Outgoing) -> None:
    result = outgoing()
    failures = {
        name: outcome.failure for name, answer in ODD.items() if (outcome := outcome_of(answer, result)[0]).failure
    }
    assert failures == {}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())
def test_an_answer_that_allows_nothing_is_told_in_time(outgoing: Outgoing, answer: Answer) -> None:
    outcome, seconds = outcome_of(answer, outgoing())
    assert not outcome.stored
    assert "ARCHIVE at 127.0.0.1" in outcome.failure
    assert seconds < 20 * TIMEOUT_S


ENDINGS = {
    "a release": struct.pack(">BBII", 5, 0, 4, 0),
    "an abort": struct.pack(">BBII", 7, 0, 4, 0),
    "an unknown PDU": struct.pack(">BBI", 0x99, 0, 4) + b"none",
}


@pytest.mark.parametrize("answers", [True, False], ids=["after its answer", "instead of an answer"])
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_the_end_of_an_association_is_noticed_at_once(outgoing: Outgoing, ending: bytes, answers: bool) -> None:
    with raw_peer(archive(ODD["nothing odd"], ending, answers=answers)) as port:
        started = time.monotonic()
        outcomes = CStoreDestination(peer_at(port, timeout=TIMEOUT_S)).store([outgoing(), outgoing()])
    assert time.monotonic() - started < 5 * TIMEOUT_S
    assert [one.stored for one in outcomes] == [answers, False]
    assert "ended the association without an answer" in outcomes[-1].failure


def test_an_end_that_is_noticed_just_before_a_request_is_told_at_once(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_gate, closed = Checkpoint.clear, itertools.count(1)

    def close_gate_after_the_end(gate: Checkpoint) -> None:
        if next(closed) == 2:
            wait_until(lambda: gate._association.is_aborted)
        close_gate(gate)

    monkeypatch.setattr(Checkpoint, "clear", close_gate_after_the_end)
    with raw_peer(archive(ODD["nothing odd"], ENDINGS["an unknown PDU"])) as port:
        outcomes = CStoreDestination(peer_at(port, timeout=20)).store([outgoing(), outgoing()])
    assert [one.stored for one in outcomes] == [True, False]
    assert "ended the association without an answer" in outcomes[-1].failure


def test_an_archive_that_releases_after_the_last_answer_costs_no_timeout(outgoing: Outgoing) -> None:
    started = time.monotonic()
    for _ in range(4):
        with raw_peer(archive(ODD["nothing odd"], ENDINGS["a release"])) as port:
            (outcome,) = CStoreDestination(peer_at(port, timeout=30)).store([outgoing()])
        assert outcome.stored
    assert time.monotonic() - started < 30


REFERENCES = [Reference("1.2.840.10008.5.1.4.1.1.66.4", "1.2.3")]
REQUESTS: dict[str, Callable[[RemoteAE], object]] = {
    "C-ECHO": lambda peer: survey(peer, CStoreSettings(ae_title="ARCHIVE", host="127.0.0.1", port=peer.port)),
    "C-FIND": lambda peer: count_mammograms(peer, "1.2.3"),
    "N-ACTION": lambda peer: request_commitment(peer, "1.2.3.4", REFERENCES, lambda _: None),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("asked", REQUESTS.keys())
def test_the_end_of_an_association_is_not_taken_for_silence(asked: str, ending: bytes) -> None:
    with raw_peer(archive(ODD["nothing odd"], ending, answers=False)) as port, pytest.raises(TransientError) as raised:
        REQUESTS[asked](peer_at(port, timeout=20))
    assert f"ended the association without an answer to {asked}" in str(raised.value)


NOT_TAKEN = {"refused: a transfer syntax that was not proposed"}
"""Answers that DCMTK accepts. The node sends a result only in a transfer syntax that it proposed (CONFORMANCE 3)."""


@pytest.mark.peer("dcmtk")
def test_a_result_is_delivered_wherever_echoscu_is_answered() -> None:
    program = str(PEERS["dcmtk"].program.with_name("echoscu"))
    answered = set()
    for name, answer in {**ODD, **{f"refused: {name}": answer for name, answer in REFUSED.items()}}.items():
        with raw_peer(archive(answer)) as port:
            command = [program, "-to", "5", "-ta", "2", "-td", "2", "127.0.0.1", str(port)]
            if subprocess.run(command, capture_output=True, timeout=30).returncode == 0:
                answered.add(name)
    assert answered - set(ODD) == NOT_TAKEN
    assert len(answered) > 30
