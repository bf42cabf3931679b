"""Peers that never finish an answer: every kind of call gives up after the timeout, plain and over TLS."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest

from glam_node.node.console.oidc import Client
from glam_node.node.domain.alert import AlertMessage, Phase
from glam_node.node.domain.commitment import CommitmentReply, Reference
from glam_node.node.domain.trace import Span
from glam_node.node.errors import NodeError, TransientError
from glam_node.node.scu.commitment import request_commitment, send_report
from glam_node.node.scu.echo import echo, remote_ae_of
from glam_node.node.scu.find import count_mammograms
from glam_node.node.scu.mail import MailServer, check_mail_server, send_mail
from glam_node.node.scu.otlp import check_collector, span_exporter
from glam_node.node.scu.store import CStoreDestination
from glam_node.node.scu.stow import StowDestination
from glam_node.node.scu.syslog import audit_collector
from glam_node.node.scu.web_peer import web_peer
from glam_node.node.scu.webhook import post_alert
from glam_node.node.tls.certificates import server_certificate
from glam_node.node.tls.contexts import CertificateFiles
from glam_node.settings.audit import AuditSettings
from glam_node.settings.console import OIDCSettings
from glam_node.settings.destinations import CStoreSettings, StowSettings
from tests.associations import acceptance, answered
from tests.builders import NOW
from tests.certificates import Authority, Signed
from tests.hl7.raw_engine import raw_peer
from tests.integration.scu.acceptances import first_context, read_pdu
from tests.integration.scu.conftest import Outgoing

TIMEOUT_S = 0.5
MOST_S = 20.0
"""More than all attempts after a timeout need, and far less than forever."""
Talk = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> Signed:
    return authority.sign("silent")


def says(*pieces: bytes) -> Talk:
    """Return a peer that answers each message with one piece, and then stays silent."""

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.recv(65536)
                connection.sendall(piece)
            while connection.recv(65536):
                pass

    return talk


def drips(begin: bytes, *before: bytes, greets: bool = False) -> Talk:
    """Return a peer whose answer begins and continues byte by byte forever, each long before the timeout.

    Args:
        begin: The beginning of the last answer.
        before: The whole answers before that one.
        greets: Whether the peer sends first.
    """

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for number, answer in enumerate((*before, begin)):
                if number or not greets:
                    connection.recv(65536)
                connection.sendall(answer)
            end = time.monotonic() + 2 * MOST_S
            while time.monotonic() < end:
                connection.sendall(b"x")
                time.sleep(TIMEOUT_S / 5)

    return talk


def handshake_byte_by_byte(*before: bytes, greets: bool = False) -> Talk:
    """Return a peer that begins a TLS record with its ServerHello (RFC 8446 5.1) and sends its rest byte by byte."""
    return drips(b"\x16\3\3\x40\0\2\0\x3f\xfc\3\3", *before, greets=greets)


def accepts_then_says(piece: bytes) -> Talk:
    """Return a peer that accepts the first context of an association and sends only this piece afterwards."""

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            number, syntax = first_context(read_pdu(connection)[1])
            connection.sendall(acceptance(answered(number, 0, syntax)) + piece)
            while connection.recv(65536):
                pass

    return talk


def over_tls(theirs: Signed, talk: Talk) -> Talk:
    """Return the same peer over TLS 1.3, whose server also sends session tickets, which are no answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)

    def secured(connection: socket.socket) -> None:
        connection.settimeout(MOST_S)
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as line:
            talk(line)

    return secured


SILENCES: dict[str, Talk] = {
    "nothing": says(),
    "half a header": says(b"\2\0\0"),
    "half an answer": says(b"\2\0\0\0\1\0" + bytes(20)),
    "nothing after the association": accepts_then_says(b""),
    "half a response": accepts_then_says(b"\4\0\0\0\0\x50" + bytes(12)),
    "half a line": says(b"HTTP/1.1 2"),
    "half of the headers": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"),
    "a header byte by byte": drips(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "a body byte by byte": drips(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"),
    "a greeting byte by byte": drips(b"220 ", greets=True),
    "a reply byte by byte": drips(b"250-", b"220 mail\r\n", greets=True),
    "a PDU byte by byte": drips(b"\2\0\0\1\0\0"),
    "half a body": says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"),
}


def server(port: int, theirs: Signed | None) -> dict[str, Any]:
    tls = {"tls": True, "ca": theirs.ca} if theirs is not None else {}
    return {"host": "127.0.0.1", "port": port, "timeout": TIMEOUT_S, **tls}


def destination(port: int, theirs: Signed | None) -> CStoreSettings:
    return CStoreSettings(ae_title="ARCHIVE", **server(port, theirs))


def web_destination(port: int, theirs: Signed | None) -> StowSettings:
    return StowSettings(kind="stow-rs", service_path="/dicom-web", **server(port, theirs))


def server_certificate_check(port: int, _theirs: Signed | None, _outgoing: Outgoing) -> None:
    try:
        server_certificate(("127.0.0.1", port), "localhost", TIMEOUT_S, CertificateFiles("destinations.archive"))
    except OSError as error:
        raise TransientError(str(error)) from error


def heard(_report: CommitmentReply) -> None:
    raise AssertionError("nothing was reported")


def c_store(port: int, theirs: Signed | None, outgoing: Outgoing) -> None:
    (outcome,) = CStoreDestination(remote_ae_of("archive", destination(port, theirs), "GLAMNODE")).store([outgoing()])
    assert not outcome.stored
    assert outcome.transient
    raise TransientError(outcome.failure)


def c_echo(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    report = echo("archive", destination(port, theirs), "GLAMNODE")
    assert not report.ok
    raise TransientError(report.message)


def c_find(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    count_mammograms(remote_ae_of("archive", destination(port, theirs), "GLAMNODE"), "1.2.3")


def n_action(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    peer = remote_ae_of("archive", destination(port, theirs), "GLAMNODE")
    request_commitment(peer, "1.2.3", [Reference("1.2", "1.2.3")], heard)


def n_event_report(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    peer = remote_ae_of("archive", destination(port, theirs), "GLAMNODE")
    send_report(peer, CommitmentReply("1.2.3", (Reference("1.2", "1.2.3"),), ()))


def stow(port: int, theirs: Signed | None, outgoing: Outgoing) -> None:
    (outcome,) = StowDestination(web_peer("archive", web_destination(port, theirs))).store([outgoing()])
    assert not outcome.stored
    raise TransientError(outcome.failure)


def dicomweb_search(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    report = echo("archive", web_destination(port, theirs), "GLAMNODE")
    assert not report.ok
    raise TransientError(report.message)


def syslog(port: int, _theirs: Signed | None, _outgoing: Outgoing) -> None:
    settings = AuditSettings.model_validate({"host": "127.0.0.1", "port": port, "timeout": TIMEOUT_S})
    collector = audit_collector(settings)
    assert collector is not None
    collector.send([b"1 x"])


MESSAGE = AlertMessage(1, "disk", "", Phase.BEGINS, "webhook", "It is full.", "Make room.", NOW)


def webhook(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    scheme = "https" if theirs is not None else "http"
    post_alert(f"{scheme}://127.0.0.1:{port}/hook", "node", TIMEOUT_S, MESSAGE)


def mail(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    ca = theirs.ca if theirs is not None else None
    security: Literal["tls", "starttls"] = "tls" if theirs is not None else "starttls"
    server = MailServer("127.0.0.1", port, security, None, None, ca, "a@b.c", ("d@e.f",), TIMEOUT_S)
    send_mail(server, "node", MESSAGE)


def traces(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    scheme = "https" if theirs is not None else "http"
    span_exporter(f"{scheme}://127.0.0.1:{port}", "node", TIMEOUT_S)([Span("read", "1.2.3", "1", "", NOW, NOW)])


def mail_with_starttls(port: int, _theirs: Signed | None, outgoing: Outgoing) -> None:
    mail(port, None, outgoing)


def mail_check(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    ca = theirs.ca if theirs is not None else None
    security: Literal["tls", "none"] = "tls" if theirs is not None else "none"
    check_mail_server(MailServer("127.0.0.1", port, security, None, None, ca, "a@b.c", ("d@e.f",), TIMEOUT_S))


def traces_check(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    check_collector(f"{'https' if theirs is not None else 'http'}://127.0.0.1:{port}", TIMEOUT_S)


def provider(port: int, theirs: Signed | None, _outgoing: Outgoing) -> None:
    scheme = "https" if theirs is not None else "http"
    address = f"{scheme}://127.0.0.1:{port}"
    ca = {"ca": theirs.ca} if theirs is not None else {}
    stated = {"issuer": address, "client_id": "node", "public_url": "http://127.0.0.1:1", "viewers": ["all"], **ca}
    Client(OIDCSettings.model_validate({**stated, "timeout": TIMEOUT_S})).metadata()


DRIPS_OF_THE_WEB = ("a header byte by byte", "a body byte by byte")
DRIPS_OF_MAIL = ("a greeting byte by byte", "a reply byte by byte")
DICOM = (c_store, c_echo, c_find, n_action, n_event_report)
WEB = (stow, dicomweb_search)
CASES = [
    *[(call, name, secured) for call in DICOM for name in list(SILENCES)[:5] for secured in (False, True)],
    *[
        (call, name, secured)
        for call in WEB
        for name in ("nothing", *list(SILENCES)[5:9], "half a body")
        for secured in (False, True)
    ],
    (syslog, "nothing", False),
    *[(webhook, name, secured) for name in ("nothing", *list(SILENCES)[5:8]) for secured in (False, True)],
    *[(mail, name, secured) for name in ("nothing", "half a line") for secured in (False, True)],
    *[(traces, name, secured) for name in ("nothing", "half a line") for secured in (False, True)],
    *[(mail_check, name, secured) for name in DRIPS_OF_MAIL for secured in (False, True)],
    (mail, "a reply byte by byte", True),
    *[(call, name, secured) for call in (traces, provider) for name in DRIPS_OF_THE_WEB for secured in (False, True)],
    *[(traces_check, "a body byte by byte", secured) for secured in (False, True)],
    *[(call, "a PDU byte by byte", secured) for call in (c_store, c_echo) for secured in (False, True)],
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("call", "silence", "secured"), CASES, ids=[f"{c.__name__}, {n}, {'TLS' if s else 'plain'}" for c, n, s in CASES]
)
def test_a_silent_peer_is_given_up_after_the_timeout(
    outgoing: Outgoing,
    theirs: Signed,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., None],
    silence: str,
    secured: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(theirs.ca))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(theirs.ca))
    talk = SILENCES[silence]
    with raw_peer(over_tls(theirs, talk) if secured else talk) as port:
        started = time.monotonic()
        with pytest.raises(NodeError) as caught:
            call(port, theirs if secured else None, outgoing)
        assert time.monotonic() - started < MOST_S
    assert isinstance(caught.value, TransientError)


HANDSHAKES: list[tuple[Callable[..., None], Talk]] = [
    *[
        (call, handshake_byte_by_byte())
        for call in (*DICOM, *WEB, syslog, webhook, mail, traces, traces_check, provider, server_certificate_check)
    ],
    (mail_with_starttls, handshake_byte_by_byte(b"220 mail\r\n", b"250 STARTTLS\r\n", b"220 go\r\n", greets=True)),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("call", "talk"), HANDSHAKES, ids=[call.__name__ for call, _ in HANDSHAKES])
def test_a_peer_whose_handshake_never_ends_is_given_up_after_the_timeout(
    outgoing: Outgoing, theirs: Signed, monkeypatch: pytest.MonkeyPatch, call: Callable[..., None], talk: Talk
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(theirs.ca))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(theirs.ca))
    with raw_peer(talk) as port:
        started = time.monotonic()
        with pytest.raises(TransientError):
            call(port, theirs, outgoing)
        assert time.monotonic() - started < MOST_S


@pytest.mark.timeout(120)
def test_a_proxy_whose_answer_never_ends_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_peer(drips(b"HTTP/1.1 200 OK\r\nX-Slow: ")) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("https_proxy", raising=False)
        started = time.monotonic()
        with pytest.raises(TransientError):
            check_collector("https://collector.example", TIMEOUT_S)
        assert time.monotonic() - started < MOST_S


@pytest.mark.timeout(120)
def test_an_audit_collector_whose_close_never_ends_is_given_up_after_the_timeout(theirs: Signed) -> None:
    def reads_then_drips_a_record(line: socket.socket) -> None:
        line.recv(65536)
        with socket.socket(fileno=line.detach()) as plain:
            drips(b"\x17\3\3\x40\0")(plain)

    with raw_peer(over_tls(theirs, reads_then_drips_a_record)) as port:
        stated = {"host": "127.0.0.1", "port": port, "timeout": TIMEOUT_S, "ca": theirs.ca}
        collector = audit_collector(AuditSettings.model_validate(stated))
        assert collector is not None
        started = time.monotonic()
        with pytest.raises(TransientError):
            collector.send([b"1 x"])
        assert time.monotonic() - started < MOST_S
