"""Audit messages to a collector over TLS: none is lost if it is away, cut off or not trusted."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from glam_node.node.db import audit_messages, migrate
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.errors import TransientError
from glam_node.node.scu.syslog import audit_collector
from glam_node.node.tls.contexts import CertificateFiles, server_context
from glam_node.node.workflow.record.audit_trail import forward_audit_messages
from glam_node.settings.audit import AuditSettings
from tests.builders import NOW
from tests.certificates import Authority, Signed
from tests.integration.collector import Collector
from tests.integration.rsyslog import rsyslog
from tests.ports import free_port

MESSAGE = b"<AuditMessage>" + b"x" * 2000 + b"</AuditMessage>"


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> Signed:
    return authority.sign("collector")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Signed:
    return authority.sign("audited")


@pytest.fixture
def collector(theirs: Signed) -> Collector:
    return Collector(theirs, free_port())


class Trail:
    """A node with audit messages, and the collector that its settings name."""

    def __init__(self, sessions: SessionFactory, settings: AuditSettings) -> None:
        self.sessions = sessions
        self.settings = settings

    def append(self, count: int) -> None:
        with self.sessions.begin() as session:
            audit_messages.append(session, [(NOW, MESSAGE)] * count)

    def forward(self) -> int:
        """Forward messages as a newly started process does."""
        found = audit_collector(self.settings)
        assert found is not None
        return forward_audit_messages(self.sessions, found.send, "node", lambda: NOW)

    def waiting(self) -> int:
        with self.sessions() as session:
            return audit_messages.counts(session)[1]


def settings(port: int, ours: Signed, **stated: object) -> AuditSettings:
    files = {"certificate": ours.certificate, "key": ours.key, "ca": ours.ca}
    return AuditSettings.model_validate({"host": "127.0.0.1", "port": port, "timeout": 5, **files, **stated})


@pytest.fixture
def trail(tmp_path: Path, collector: Collector, ours: Signed) -> Iterator[Trail]:
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    migrate.upgrade(url)
    sessions = open_database(url)
    yield Trail(sessions, settings(collector.port, ours))
    sessions.kw["bind"].dispose()


def test_messages_arrive_once_and_in_order(trail: Trail, collector: Collector) -> None:
    trail.append(250)
    with collector.running():
        assert [trail.forward() for _ in range(4)] == [100, 100, 50, 0]
    assert collector.sequences == list(range(1, 251))
    assert {(one.priority, one.message_id, one.message) for one in collector.records} == {
        (85, "DICOM+RFC3881", MESSAGE)
    }


def test_messages_wait_for_a_collector_that_is_away(trail: Trail, collector: Collector) -> None:
    trail.append(3)
    with collector.running():
        trail.forward()
    trail.append(2)
    with pytest.raises(TransientError, match=r"connection refused\. Check audit\.host and audit\.port"):
        trail.forward()
    with collector.running():
        trail.forward()
    assert collector.sequences == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut_after", [0, 1, 5000, 90_000])
def test_messages_on_their_way_when_the_collector_is_cut_off_are_sent_again(
    trail: Trail, collector: Collector, cut_after: int
) -> None:
    trail.append(100)
    collector.cut_after = cut_after
    with collector.running(), pytest.raises(TransientError, match="The audit messages wait on the node"):
        trail.forward()
    before, collector.cut_after = list(collector.sequences), None
    with collector.running():
        trail.forward()
    assert collector.sequences == [*before, *range(1, 101)]


def test_a_sender_that_died_before_it_marked_what_it_sent_sends_it_again(trail: Trail, collector: Collector) -> None:
    trail.append(2)
    found = audit_collector(trail.settings)
    assert found is not None

    def send_and_die(frames: object) -> None:
        found.send(frames)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with collector.running():
        with pytest.raises(KeyboardInterrupt):
            forward_audit_messages(trail.sessions, send_and_die, "node", lambda: NOW)
        trail.forward()
    assert collector.sequences == [1, 2, 1, 2]


def test_messages_stay_if_the_collector_does_not_close_the_session(
    trail: Trail, collector: Collector, ours: Signed
) -> None:
    trail.settings = settings(collector.port, ours, timeout=0.5)
    trail.append(1)
    collector.hold_s = 1.5
    with collector.running(), pytest.raises(TransientError, match="did not answer or close the connection"):
        trail.forward()
    assert trail.waiting() == 1


def test_a_collector_of_another_authority_gets_nothing(
    trail: Trail, collector: Collector, tmp_path: Path, ours: Signed
) -> None:
    other = Authority(tmp_path / "other").sign("other")
    trail.settings = settings(collector.port, ours, ca=other.ca)
    trail.append(1)
    with collector.running(), pytest.raises(TransientError, match=r"not trusted.*Check audit\.ca"):
        trail.forward()
    assert (collector.records, trail.waiting()) == ([], 1)


def test_a_node_without_a_certificate_of_its_own_is_told_by_the_collector(
    trail: Trail, collector: Collector, ours: Signed
) -> None:
    trail.settings = settings(collector.port, ours, certificate=None, key=None)
    trail.append(1)
    with collector.running(), pytest.raises(TransientError, match=r"audit\.certificate"):
        trail.forward()
    assert trail.waiting() == 1


def refuse_in_the_end(listener: socket.socket, theirs: Signed) -> None:
    """Serve one handshake, but check its last flight only after reading everything that follows."""
    context = server_context(
        CertificateFiles("collector", theirs.certificate, theirs.key, theirs.ca), ssl.CERT_REQUIRED
    )
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    connection, _ = listener.accept()
    with connection:
        incoming.write(connection.recv(65_536))
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read())
        connection.settimeout(0.5)
        with suppress(TimeoutError):
            while received := connection.recv(65_536):
                incoming.write(received)
        with pytest.raises(ssl.SSLError, match="did not return a certificate"):
            tls.do_handshake()
        connection.sendall(outgoing.read())


def test_an_alert_after_the_close_is_no_acknowledgement(trail: Trail, theirs: Signed, ours: Signed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trail.settings = settings(listener.getsockname()[1], ours, certificate=None, key=None)
        trail.append(1)
        thread = threading.Thread(target=refuse_in_the_end, args=(listener, theirs))
        thread.start()
        with pytest.raises(TransientError, match=r"certificate required.*audit\.certificate"):
            trail.forward()
        thread.join()
    assert trail.waiting() == 1


@pytest.mark.peer("rsyslog")
def test_rsyslog_acknowledges_messages_by_closing(
    trail: Trail, collector: Collector, theirs: Signed, tmp_path: Path
) -> None:
    trail.append(120)
    with rsyslog(tmp_path, theirs, collector.port) as collected:
        assert [trail.forward() for _ in range(3)] == [100, 20, 0]
    lines = [line for line in collected.read_bytes().splitlines() if b"rsyslogd" not in line]
    assert [line.partition(b"sequenceId=")[2].split(b'"')[1] for line in lines] == [b"%d" % n for n in range(1, 121)]
    assert all(line.startswith(b"<85>1 2026-01-02T10:15:00.000Z node glam-node - DICOM+RFC3881 ") for line in lines)
