"""Odd association requests are accepted if storescp of DCMTK accepts them, or recorded as rejected."""

import socket
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.associations import MG, class_uid, maximum_length, proposed, request, user
from tests.data_sets import data_set
from tests.integration.scp.conftest import Receiver
from tests.integration.scp.raw import Sender, echo_rq, p_data, pdv, store_rq
from tests.integration.scp.requests import GOOD, ODD, REFUSED
from tests.peers import PEERS
from tests.ports import free_port
from tests.waiting import wait_for_listener, wait_until

# PS3.8 Table 9-18
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4


def results(body: bytes) -> list[tuple[int, int]]:
    """Return context id and result of each context in the body of an A-ASSOCIATE-AC."""
    found, offset = [], 68
    while offset + 4 <= len(body):
        kind, _, length = struct.unpack_from(">BBH", body, offset)
        if kind == 0x21:
            found.append((body[offset + 4], body[offset + 6]))
        offset += 4 + length
    return found


def outcome(port: int, sent: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Send a request only; return the type of the answer and the results of its contexts."""
    with Sender(port) as sender:
        sender.send(sent)
        sender.connection.shutdown(socket.SHUT_WR)
        kind, body = sender.read()
        return kind, results(body) if kind == 2 else []


def is_answered(port: int, sent: bytes) -> bool:
    """Return whether a C-ECHO on the good context of a request succeeds."""
    with Sender(port) as sender:
        sender.send(sent)
        if sender.read()[0] != 2:
            return False
        sender.send(p_data(pdv(echo_rq(), command=True, last=True)))
        return sender.status() == 0x0000


def test_every_readable_odd_request_is_accepted(receiver: Receiver) -> None:
    # A maximum length of three bytes leaves no room for a response.
    answerable = {name: sent for name, sent in ODD.items() if name != "a maximum length of 3"}
    assert [name for name, sent in answerable.items() if not is_answered(receiver.port, sent)] == []


OF_THE_ODD_CONTEXT: Mapping[str, list[tuple[int, int]]] = {
    "an abstract syntax with a byte A0H": [(3, NO_ABSTRACT_SYNTAX), (1, ACCEPTED)],
    "an abstract syntax of 80 characters": [(3, NO_ABSTRACT_SYNTAX), (1, ACCEPTED)],
    "no abstract syntax": [(3, NO_ABSTRACT_SYNTAX), (1, ACCEPTED)],
    "an empty transfer syntax": [(3, NO_TRANSFER_SYNTAX), (1, ACCEPTED)],
    "an empty transfer syntax beside a good one": [(3, ACCEPTED), (1, ACCEPTED)],
    "a transfer syntax that is none": [(3, NO_TRANSFER_SYNTAX), (1, ACCEPTED)],
    "no transfer syntax": [(3, NO_TRANSFER_SYNTAX), (1, ACCEPTED)],
    "syntaxes with a NUL at their end": [(3, ACCEPTED), (1, ACCEPTED)],
    "syntaxes with a space at their end": [(3, ACCEPTED), (1, ACCEPTED)],
    "a context whose abstract syntax is cut": [(3, NO_ABSTRACT_SYNTAX), (1, ACCEPTED)],
    "a context of two bytes": [(3, NO_ABSTRACT_SYNTAX), (1, ACCEPTED)],
    "an even context id": [(2, ACCEPTED), (1, ACCEPTED)],
    "a context id of 0": [(0, ACCEPTED), (1, ACCEPTED)],
    "the same context id twice": [(1, ACCEPTED)],
}


def test_an_odd_context_does_not_affect_the_others(receiver: Receiver) -> None:
    answers = {name: outcome(receiver.port, ODD[name])[1] for name in OF_THE_ODD_CONTEXT}
    assert answers == OF_THE_ODD_CONTEXT


def test_an_unreadable_request_is_recorded_with_its_caller(receiver: Receiver) -> None:
    for name, sent in REFUSED.items():
        before = len(receiver.refused)
        assert outcome(receiver.port, sent)[0] in (0, 3, 7), name
        wait_until(lambda: len(receiver.refused) > before, told=lambda: name)  # noqa: B023 - waited for here
    assert {detail["address"] for _, detail in receiver.refused} == {"127.0.0.1"}
    titles = [detail["calling_ae_title"] for _, detail in receiver.refused]
    assert titles.count("DCMTK") >= len(REFUSED) - 1


@pytest.mark.peer("dcmtk")
def test_the_node_accepts_whatever_storescp_accepts(receiver: Receiver, tmp_path: Path) -> None:
    port = free_port()
    command = [str(PEERS["dcmtk"].program.with_name("storescp")), "-od", str(tmp_path), "-aet", "GLAMNODE", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_listener(port)
        accepted = {name for name, sent in {**ODD, **REFUSED}.items() if outcome(port, sent)[0] == 2}
    finally:
        process.terminate()
        process.wait(10)
    assert accepted - set(ODD) == set()
    assert len(accepted) > 60
    # The node accepts these requests, which DCMTK 3.6.7 rejects.
    assert set(ODD) - accepted == FURTHER_THAN_STORESCP


FURTHER_THAN_STORESCP = {
    "an application context with a space at its end",
    "a version name of 200 characters",
    "a class UID of 80 characters",
    "a role that is cut",
    "an abstract syntax of 80 characters",
    "no transfer syntax",
    "a context whose abstract syntax is cut",
    "a context of two bytes",
}


@pytest.mark.parametrize("most", [100, 12, 8])
def test_responses_never_exceed_the_maximum_length_of_the_peer(receiver: Receiver, most: int) -> None:
    sent = request(GOOD, proposed(3, MG, b"1.2.840.10008.1.2.1"), users=user(maximum_length(most), class_uid()))
    with Sender(receiver.port) as sender:
        sender.send(sent)
        assert sender.read()[0] == 2
        sender.send(p_data(pdv(store_rq("1.2.3.9"), command=True, last=True, context_id=3)))
        sender.send(p_data(pdv(data_set("1.2.3.9"), command=False, last=True, context_id=3)))
        assert sender.status() == 0x0000
        assert sender.longest_pdu <= most


def test_a_peer_whose_maximum_length_allows_no_response_is_aborted_and_recorded(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.send(ODD["a maximum length of 3"])
        assert sender.read()[0] == 2
        sender.send(p_data(pdv(echo_rq(), command=True, last=True)))
        assert sender.read()[0] == 7
    wait_until(lambda: bool(receiver.refused))
    assert "leaves no room for an answer" in receiver.refused[0][1]["reason"]


ENDED_BADLY = {
    "the peer aborts": (
        struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0),
        "aborted by the peer, in the middle of an instance",
    ),
    "the peer closes": (b"", "closed by the peer, in the middle of an instance"),
    "the peer breaks the protocol": (struct.pack(">BBI", 9, 0, 0), "0x09 is not a PDU type"),
}


@pytest.mark.parametrize(("ending", "reason"), ENDED_BADLY.values(), ids=ENDED_BADLY.keys())
def test_a_transfer_that_ends_badly_is_recorded_with_the_caller(receiver: Receiver, ending: bytes, reason: str) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.store("1.2.3.1", data_set("1.2.3.1"))
        sender.send(p_data(pdv(store_rq("1.2.3.2"), command=True, last=True), pdv(b"x", command=False, last=False)))
        sender.send(ending)
        sender.connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: bool(receiver.refused))
    ((event, detail),) = receiver.refused
    assert event == "association_aborted"
    assert reason in detail["reason"]
    assert (detail["calling_ae_title"], detail["address"], detail["stored"]) == ("DCMTK", "127.0.0.1", 1)


def test_an_association_that_is_closed_between_two_messages_is_not_recorded(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        assert sender.store("1.2.3.1", data_set("1.2.3.1")) == 0x0000
    with Sender(receiver.port) as other:
        assert other.associate() == 2
        other.send(struct.pack(">BBII", 5, 0, 4, 0))
        assert other.read()[0] == 6
    wait_until(lambda: not any(thread.name.startswith("association") for thread in threading.enumerate()))
    assert receiver.refused == []
