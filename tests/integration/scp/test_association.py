"""Associations are admitted or rejected, and attacks on connections end in time."""

import contextlib
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE

from glam_node.node.scp.connections import MAXIMUM_WAITING
from tests.data_sets import data_set
from tests.integration.scp.conftest import PEERS, Receiver, running_receiver
from tests.integration.scp.raw import VERIFICATION, Sender, associate_rq, echo_rq, p_data, pdv, store_rq
from tests.waiting import wait_until

PATIENCE_S = 2.0


@pytest.fixture
def impatient(tmp_path: Path) -> object:
    """Run a receiver with a network timeout of PATIENCE_S."""
    with running_receiver(tmp_path / "root", network_timeout=PATIENCE_S) as receiver:
        yield receiver


@contextmanager
def pynetdicom_receiver(maximum_associations: int) -> Iterator[int]:
    """Run pynetdicom's own Verification SCP, written independently of ours, and yield its port."""
    ae = AE(ae_title="GLAMNODE")
    ae.maximum_associations, ae.require_called_aet = maximum_associations, True
    ae.require_calling_aet = [peer.ae_title for peer in PEERS.values()]
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    assert server.socket is not None
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()


@pytest.fixture(params=["ours", "pynetdicom"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Return the port of a receiver for one association: ours, or that of pynetdicom, which must answer alike."""
    if request.param == "pynetdicom":
        with pynetdicom_receiver(maximum_associations=1) as number:
            yield number
    else:
        with running_receiver(tmp_path / "root", maximum_associations=1) as receiver:
            yield receiver.port


def echoes(port: int) -> bool:
    """Return whether a known peer gets an association and a response at once."""
    with Sender(port) as sender:
        accepted = sender.associate(abstract_syntaxes=(VERIFICATION,)) == 2
        sender.send(p_data(pdv(echo_rq(), command=True, last=True)))
        return accepted and sender.status() == 0x0000


def test_a_known_peer_is_answered(port: int) -> None:
    assert echoes(port)


def test_an_unknown_calling_ae_title_is_rejected(port: int) -> None:
    with Sender(port) as sender:
        sender.send(associate_rq(calling="STRANGER"))
        assert sender.read() == (3, bytes([0, 1, 1, 3]))


def test_an_unknown_calling_ae_title_is_recorded_with_the_settings_that_would_admit_it(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.send(associate_rq(calling="STRANGER"))
        assert sender.read() == (3, bytes([0, 1, 1, 3]))
    wait_until(lambda: bool(receiver.refused))
    ((event, detail),) = receiver.refused
    assert event == "association_rejected"
    assert detail["remedy"] == '[peers.stranger]\nae_title = "STRANGER"\nhosts = ["127.0.0.1"]'


def test_a_wrong_called_ae_title_is_rejected(port: int) -> None:
    with Sender(port) as sender:
        sender.send(associate_rq(called="ELSEWHERE"))
        assert sender.read() == (3, bytes([0, 1, 1, 7]))


def test_an_association_beyond_the_limit_is_rejected_as_transient(port: int) -> None:
    with Sender(port) as first:
        assert first.associate() == 2
        with Sender(port) as second:
            second.send(associate_rq())
            assert second.read() == (3, bytes([0, 2, 3, 2]))


def test_an_unknown_sop_class_gets_no_context_and_the_others_work(port: int) -> None:
    with Sender(port) as sender:
        sender.send(associate_rq(abstract_syntaxes=("1.2.3.4", VERIFICATION)))
        pdu_type, _ = sender.read()
        assert pdu_type == 2
        sender.send(p_data(pdv(echo_rq(), command=True, last=True, context_id=3)))
        assert sender.status() == 0x0000


ATTACKS = {
    "64 KB of garbage": [b"\xaa" * 65536],
    "three bytes of a header": [b"\x01\x00\x00"],
    "nothing at all": [],
    "a PDU of 4 GB": [struct.pack(">BBI", 1, 0, 0xFFFFFFFF) + b"x" * 100_000],
    "P-DATA before an association": [p_data(pdv(echo_rq(), command=True, last=True))],
    "half a P-DATA, then silence": [associate_rq(), p_data(pdv(store_rq("1.2"), command=True, last=True))[:40]],
    "a P-DATA longer than agreed": [associate_rq(), struct.pack(">BBI", 4, 0, 10_000_000) + b"x" * 200_000],
    "a context that was never accepted": [
        associate_rq(),
        p_data(pdv(echo_rq(), command=True, last=True, context_id=99)),
    ],
    "a value longer than its PDU": [associate_rq(), struct.pack(">BBIIBB", 4, 0, 6, 9999, 1, 3)],
    "a command that is none": [associate_rq(), p_data(pdv(b"\xff" * 50, command=True, last=True))],
    "a data set without a command": [associate_rq(), p_data(pdv(b"x" * 50, command=False, last=True))],
    "an endless command": [associate_rq(), *[p_data(pdv(b"\0" * 16000, command=True, last=False))] * 6],
    "a cut in the middle of an instance": [
        associate_rq(),
        p_data(pdv(store_rq("1.2.3"), command=True, last=True), pdv(data_set("1.2.3"), command=False, last=False)),
    ],
}


@pytest.mark.parametrize("pieces", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_ends_within_the_timeout_and_leaves_nothing(impatient: Receiver, pieces: list[bytes]) -> None:
    with Sender(impatient.port) as sender:
        for piece in pieces:
            try:
                sender.send(piece)
            except OSError:
                break
        assert sender.is_closed_within(2 * PATIENCE_S + 1)
    assert echoes(impatient.port)
    assert impatient.parts() == []
    assert impatient.rows() == {}


BY_THE_NODE = {
    "a response": ([p_data(pdv(store_rq("1.2", command_field=0x8001), command=True, last=True))], bytes([0, 0, 2, 6])),
    "a second request for an association": ([associate_rq()], bytes([0, 0, 2, 2])),
    "a PDU of no known type": ([struct.pack(">BBI", 9, 0, 4) + bytes(4)], bytes([0, 0, 2, 1])),
    "a PDU that is too long": ([struct.pack(">BBI", 4, 0, 10_000_000) + bytes(200_000)], bytes([0, 0, 2, 6])),
    "silence": ([], bytes([0, 0, 0, 0])),
}


@pytest.mark.parametrize(("pieces", "last_word"), BY_THE_NODE.values(), ids=BY_THE_NODE.keys())
def test_an_abort_names_its_source_and_reaches_the_peer(
    impatient: Receiver, pieces: list[bytes], last_word: bytes
) -> None:
    with Sender(impatient.port) as sender:
        sender.associate()
        sender.send(b"".join(pieces))
        assert sender.read() == (7, last_word)
        assert sender.read() == (0, b"")


def test_an_abort_of_the_peer_is_not_answered_and_its_partial_instance_is_removed(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.send(p_data(pdv(store_rq("1.2.3"), command=True, last=True), pdv(b"x", command=False, last=False)))
        sender.send(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
        assert sender.read() == (0, b"")
    assert receiver.parts() == []


def test_a_node_stops_in_every_state_of_its_associations(tmp_path: Path) -> None:
    with contextlib.ExitStack() as open_connections:
        with running_receiver(tmp_path / "root") as receiver:
            silent, rejected, associated = (open_connections.enter_context(Sender(receiver.port)) for _ in range(3))
            rejected.send(associate_rq(called="ELSEWHERE"))
            assert rejected.read()[0] == 3
            assert associated.associate() == 2
        assert all(one.is_closed_within(1) for one in (silent, rejected, associated))


def test_a_release_is_answered(port: int) -> None:
    with Sender(port) as sender:
        sender.associate()
        sender.send(struct.pack(">BBII", 5, 0, 4, 0))
        assert sender.read() == (6, bytes(4))
        assert sender.read() == (0, b"")


REJECTED = {
    "another protocol version": (associate_rq()[:6] + b"\0\2" + associate_rq()[8:], bytes([0, 1, 2, 2])),
    "another application context": (
        associate_rq().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"),
        bytes([0, 1, 1, 2]),
    ),
}


@pytest.mark.parametrize(("request_", "answer"), REJECTED.values(), ids=REJECTED.keys())
def test_an_unknown_protocol_version_or_application_context_is_rejected(
    receiver: Receiver, request_: bytes, answer: bytes
) -> None:
    with Sender(receiver.port) as sender:
        sender.send(request_)
        assert sender.read() == (3, answer)


@pytest.mark.alone
def test_a_slow_instance_is_aborted_although_every_pdu_is_in_time(impatient: Receiver) -> None:
    with Sender(impatient.port) as sender:
        sender.associate()
        sender.send(p_data(pdv(store_rq("1.2.3"), command=True, last=True)))
        started = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - started < 10 * PATIENCE_S:
                sender.send(p_data(pdv(b"x", command=False, last=False)))
                time.sleep(PATIENCE_S / 10)
        assert time.monotonic() - started < 3 * PATIENCE_S
    assert impatient.parts() == []


def test_a_peer_that_reads_no_responses_is_disconnected(impatient: Receiver) -> None:
    echo = p_data(pdv(echo_rq(), command=True, last=True))
    with Sender(impatient.port) as sender:
        sender.associate(abstract_syntaxes=(VERIFICATION,))
        sender.connection.settimeout(20 * PATIENCE_S)
        with pytest.raises(OSError):
            for _ in range(5000):
                sender.send(echo * 100)
    wait_until(lambda: len(association_threads()) == 0)


def test_four_gigabytes_announced_before_an_association_take_no_memory(impatient: Receiver) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Sender(impatient.port) as sender, contextlib.suppress(OSError):
        sender.send(struct.pack(">BBI", 1, 0, 0xFFFFFFFF))
        for _ in range(400):
            sender.send(bytes(2**20))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024


@pytest.mark.alone
def test_one_byte_at_a_time_does_not_hold_a_connection(impatient: Receiver) -> None:
    with Sender(impatient.port) as sender:
        started = time.monotonic()
        with pytest.raises(OSError):
            for byte in associate_rq():
                sender.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - started < 2 * PATIENCE_S + 1


def test_connections_cut_in_the_middle_leave_no_file(receiver: Receiver) -> None:
    senders = [Sender(receiver.port) for _ in range(3)]
    for number, sender in enumerate(senders):
        sender.associate()
        sender.send(p_data(pdv(store_rq(f"1.2.3.{number}"), command=True, last=True)))
        sender.send(p_data(pdv(b"x" * 10_000, command=False, last=False)))
    wait_until(lambda: len(receiver.parts()) == 3)
    for sender in senders:
        sender.connection.close()
    wait_until(lambda: receiver.parts() == [])
    assert receiver.rows() == {}


@pytest.mark.alone
def test_many_silent_connections_do_not_keep_other_peers_out(receiver: Receiver) -> None:
    silent = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(150)]
    started = time.monotonic()
    assert echoes(receiver.port)
    assert time.monotonic() - started < 1
    assert len(association_threads()) < 30
    for connection in silent:
        connection.close()
    wait_until(lambda: len(association_threads()) == 0)


@pytest.mark.alone
def test_silent_connections_from_many_addresses_are_limited_and_keep_no_other_peer_out(receiver: Receiver) -> None:
    sources = [(f"127.0.1.{host}", 0) for host in range(1, 31)] * 5
    silent = [socket.create_connection(("127.0.0.1", receiver.port), source_address=source) for source in sources]
    wait_until(lambda: len(association_threads()) <= MAXIMUM_WAITING)
    started = time.monotonic()
    assert echoes(receiver.port)
    assert time.monotonic() - started < 1
    for connection in silent:
        connection.close()
    wait_until(lambda: len(association_threads()) == 0)


def test_port_scans_leave_nothing_behind(receiver: Receiver) -> None:
    for _ in range(500):
        socket.create_connection(("127.0.0.1", receiver.port)).close()
    wait_until(lambda: len(association_threads()) == 0)
    assert receiver.refused == []
    assert echoes(receiver.port)


def association_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("association")]


def test_stopping_leaves_no_thread_and_no_listener(tmp_path: Path) -> None:
    with running_receiver(tmp_path / "root") as receiver:
        port = receiver.port
        sender = Sender(port)
        sender.associate()
    with sender:
        assert sender.is_closed_within(2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    wait_until(lambda: len(association_threads()) == 0)
