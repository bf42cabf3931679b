"""TLS at the receiver, with independent senders and with faulty ones."""

import contextlib
import json
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from structlog.testing import capture_logs

from glam_node.inference.phantom import make_exam
from glam_node.node.scp.access import is_settled
from glam_node.node.scp.listener import tls_context
from glam_node.node.scu.requesting_ae import RequestingAE
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings
from glam_node.settings.tls import TLSSettings
from tests.certificates import Authority, Signed
from tests.integration.scp.conftest import Receiver, running_receiver
from tests.integration.scp.raw import VERIFICATION, associate_rq
from tests.peers import PEERS
from tests.waiting import wait_until

TITLES = ["-aet", "DCMTK", "-aec", "GLAMNODE", "127.0.0.1"]
PATIENCE_S = 2.0


@pytest.fixture(scope="module")
def node(authority: Authority) -> Signed:
    return authority.sign("node")


@pytest.fixture(scope="module")
def pacs(authority: Authority) -> Signed:
    return authority.sign("pacs")


Running = Callable[..., AbstractContextManager[Receiver]]


def tls_settings(node: Signed, **stated: object) -> TLSSettings:
    """Return TLS settings with a free port and short timeouts."""
    values = {"port": 0, "certificate": node.certificate, "key": node.key, "ca": node.ca, **stated}
    return TLSSettings.model_validate({"handshake_timeout": PATIENCE_S, **values})


@pytest.fixture
def receiver(tmp_path: Path, node: Signed) -> Iterator[Receiver]:
    """Run a receiver with a plain port and a TLS port that requires certificates."""
    with running_receiver(tmp_path / "root", tls=tls_settings(node)) as running:
        yield running


def tls_port(receiver: Receiver) -> int:
    return receiver.tls_port


def dcmtk(program: str, port: int, signed: Signed | None, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of DCMTK over TLS or plain to its end."""
    files: list[str | Path] = []
    if signed is not None:
        files = ["+tls", signed.key, signed.certificate, "+cf", signed.ca]
    command: list[str | Path] = [PEERS["dcmtk"].program.with_name(program), *files, *TITLES, str(port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def caller(signed: Signed | None, ca: Path) -> ssl.SSLContext:
    """Return the TLS context of a sender in Python."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if signed is not None:
        context.load_cert_chain(signed.certificate, signed.key)
    return context


def echoes(port: int, signed: Signed | None, ca: Path) -> bool:
    """Return whether a C-ECHO of pynetdicom succeeds."""
    ae = RequestingAE("PYNETDICOM")
    ae.acse_timeout = ae.network_timeout = ae.dimse_timeout = 30
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", port, ae_title="GLAMNODE", tls_args=(caller(signed, ca), "127.0.0.1"))
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status.Status == 0)


def reason_of(receiver: Receiver) -> tuple[str, str]:
    """Return reason and remedy of the one recorded rejection."""
    wait_until(lambda: bool(receiver.refused))
    ((event, detail),) = receiver.refused
    assert event == "association_rejected"
    return detail["reason"], detail["remedy"]


@pytest.mark.peer("dcmtk")
def test_storescu_sends_a_mammogram_over_tls(receiver: Receiver, pacs: Signed, tmp_path: Path) -> None:
    path = tmp_path / "view.dcm"
    sent = make_exam(7, rows=256, columns=192)[0].dataset
    pydicom.dcmwrite(path, sent, enforce_file_format=True)
    result = dcmtk("storescu", tls_port(receiver), pacs, path)
    assert result.returncode == 0, result.stderr
    row = receiver.rows()[str(sent.SOPInstanceUID)]
    assert pydicom.dcmread(receiver.store.resolve(row.path)).PixelData == sent.PixelData


@pytest.mark.peer("dcmtk")
def test_plain_and_tls_ports_are_served_at_the_same_time(receiver: Receiver, pacs: Signed) -> None:
    assert dcmtk("echoscu", receiver.port, None).returncode == 0
    assert dcmtk("echoscu", tls_port(receiver), pacs).returncode == 0
    assert receiver.refused == []


def test_the_plain_port_can_be_closed(tmp_path: Path, node: Signed, pacs: Signed) -> None:
    with running_receiver(tmp_path / "root", tls=tls_settings(node, plain=False)) as receiver:
        assert receiver.port == tls_port(receiver)
        assert echoes(receiver.port, pacs, pacs.ca)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_versions_of_the_profile_are_spoken(receiver: Receiver, pacs: Signed, version: ssl.TLSVersion) -> None:
    context = caller(pacs, pacs.ca)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", tls_port(receiver))) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        agreed = secured.cipher()
    assert agreed is not None
    assert "GCM" in agreed[0]


OUTSIDE = {"TLS 1.1": ["-tls1_1"], "CBC": ["-tls1_2"], "RSA key exchange": ["-tls1_2"]}
OUTSIDE_CIPHERS = {"TLS 1.1": "ALL", "CBC": "ECDHE-ECDSA-AES128-SHA256", "RSA key exchange": "AES128-GCM-SHA256"}


@pytest.mark.parametrize("name", OUTSIDE)
def test_versions_and_ciphers_outside_the_profile_are_refused(receiver: Receiver, pacs: Signed, name: str) -> None:
    files = ["-cert", str(pacs.certificate), "-key", str(pacs.key), "-CAfile", str(pacs.ca)]
    where = ["-connect", f"127.0.0.1:{tls_port(receiver)}"]
    cipher = ["-cipher", f"{OUTSIDE_CIPHERS[name]}:@SECLEVEL=0"]
    called = subprocess.run(
        ["openssl", "s_client", *where, *files, *OUTSIDE[name], *cipher], input=b"", capture_output=True, timeout=30
    )
    assert called.returncode != 0
    reason, _ = reason_of(receiver)
    assert reason.startswith("the TLS handshake failed: ")


def test_a_sender_without_a_certificate_is_refused_if_one_is_required(receiver: Receiver, pacs: Signed) -> None:
    assert not echoes(tls_port(receiver), None, pacs.ca)
    reason, remedy = reason_of(receiver)
    assert "peer did not return a certificate" in reason
    assert 'tls.client_certificate = "optional"' in remedy


@pytest.mark.parametrize("asked", ["optional", "none"])
def test_a_sender_without_a_certificate_is_served_if_none_is_required(
    tmp_path: Path, node: Signed, pacs: Signed, asked: str
) -> None:
    with running_receiver(tmp_path / "root", tls=tls_settings(node, client_certificate=asked)) as receiver:
        assert echoes(tls_port(receiver), None, pacs.ca)


@pytest.mark.peer("dcmtk")
def test_a_certificate_of_another_authority_is_refused(receiver: Receiver, node: Signed, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").sign("stranger")
    trusting = Signed(stranger.certificate, stranger.key, node.ca)
    assert dcmtk("echoscu", tls_port(receiver), trusting).returncode != 0
    reason, remedy = reason_of(receiver)
    assert "certificate was refused" in reason
    assert remedy == "put the authority of the sender's certificate into tls.ca"


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ({"ends_in": timedelta(minutes=-1)}, "has expired: it was valid until"),
        ({"starts_in": timedelta(days=1)}, "is not valid before"),
        ({}, ""),
    ],
    ids=["expired", "not yet", "valid"],
)
def test_a_certificate_of_the_node_that_is_out_of_date_is_a_warning_at_the_start(
    authority: Authority, dates: dict[str, timedelta], words: str
) -> None:
    own = authority.sign("own", **dates)
    with capture_logs() as logged:
        tls_context(tls_settings(own))
    warned = [entry["failure"] for entry in logged if entry["log_level"] == "warning"]
    assert len(warned) == bool(words)
    assert all(f"{own.certificate} {words}" in one for one in warned)


def test_an_expired_certificate_is_refused(receiver: Receiver, authority: Authority) -> None:
    late = authority.sign("late", ends_in=timedelta(minutes=-1))
    assert not echoes(tls_port(receiver), late, late.ca)
    reason, remedy = reason_of(receiver)
    assert reason == "the sender's certificate was refused: certificate has expired"
    assert remedy.startswith("renew the sender's certificate")


def bound(tmp_path: Path, node: Signed, *certificates: str) -> AbstractContextManager[Receiver]:
    """Run a receiver where PYNETDICOM must present one of `certificates`."""
    peer = PeerSettings.model_validate({"ae_title": "PYNETDICOM", "certificates": certificates})
    tls = tls_settings(node)
    return running_receiver(tmp_path / "root", tls=tls, peers={"modality": peer})


def test_a_peer_is_known_by_the_fingerprint_of_its_certificate(tmp_path: Path, node: Signed, pacs: Signed) -> None:
    with bound(tmp_path, node, pacs.fingerprint) as receiver:
        assert echoes(tls_port(receiver), pacs, pacs.ca)


def test_a_peer_is_known_by_a_name_in_its_certificate(tmp_path: Path, node: Signed, pacs: Signed) -> None:
    with bound(tmp_path, node, "PACS") as receiver:
        assert echoes(tls_port(receiver), pacs, pacs.ca)


def test_the_rejection_of_an_unlisted_certificate_shows_its_fingerprint(
    tmp_path: Path, node: Signed, pacs: Signed, authority: Authority
) -> None:
    other = authority.sign("other")
    with bound(tmp_path, node, pacs.fingerprint) as receiver:
        assert not echoes(tls_port(receiver), other, other.ca)
        shown = other.fingerprint.lower().replace(":", "").replace("sha256", "sha256:")
        reason, remedy = reason_of(receiver)
    assert "presented a certificate not in peers.modality.certificates" in reason
    assert remedy == f'certificates = ["{shown}"]  # in [peers.modality], if that is right'


def test_a_rejection_over_tls_is_settled_once_its_certificate_is_listed(
    tmp_path: Path, node: Signed, pacs: Signed, authority: Authority
) -> None:
    other = authority.sign("other")
    with bound(tmp_path, node, pacs.fingerprint) as receiver:
        assert not echoes(tls_port(receiver), other, other.ca)
        reason_of(receiver)
    ((_, detail),) = receiver.refused
    recorded = json.loads(json.dumps(detail))

    def settled_by(*certificates: str) -> bool:
        stated = {"ae_title": "PYNETDICOM", "certificates": certificates}
        return is_settled(recorded, NodeSettings(), {"modality": PeerSettings.model_validate(stated)})

    assert not settled_by(pacs.fingerprint)
    assert settled_by(pacs.fingerprint, other.fingerprint)
    assert settled_by("other")


@pytest.mark.peer("dcmtk")
def test_a_peer_that_must_present_a_certificate_is_rejected_on_the_plain_port(
    tmp_path: Path, node: Signed, pacs: Signed
) -> None:
    peer = PeerSettings.model_validate({"ae_title": "DCMTK", "certificates": [pacs.fingerprint]})
    with running_receiver(tmp_path / "root", tls=tls_settings(node), peers={"pacs": peer}) as receiver:
        assert dcmtk("echoscu", receiver.port, None).returncode != 0
        assert "presented no certificate" in reason_of(receiver)[0]
        assert dcmtk("echoscu", tls_port(receiver), pacs).returncode == 0


@pytest.mark.peer("dcmtk")
def test_plain_dicom_on_the_tls_port_is_rejected_and_recorded_with_its_ae_title(receiver: Receiver) -> None:
    told = dcmtk("echoscu", tls_port(receiver), None)
    assert "Association Rejected" in told.stderr + told.stdout
    reason, remedy = reason_of(receiver)
    assert reason == "plain DICOM was spoken to the TLS port"
    assert "turn TLS on at the sender" in remedy
    assert receiver.refused[0][1]["calling_ae_title"] == "DCMTK"


@pytest.mark.peer("dcmtk")
def test_tls_on_the_plain_port_is_refused_and_recorded(receiver: Receiver, pacs: Signed) -> None:
    assert dcmtk("echoscu", receiver.port, pacs).returncode != 0
    reason, remedy = reason_of(receiver)
    assert reason == "TLS was spoken to the plain port"
    assert f"call port {tls_port(receiver)} for TLS" in remedy


def replaced(receiver: Receiver, pacs: Signed) -> str:
    """Return the name in the certificate that the receiver presents now."""
    with (
        socket.create_connection(("127.0.0.1", tls_port(receiver))) as plain,
        caller(pacs, pacs.ca).wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        told = dict(secured.getpeercert() or {})
    return str(told["subject"][0][0][1])


@pytest.fixture
def renewing(tmp_path: Path, authority: Authority) -> Iterator[tuple[Receiver, Signed]]:
    """Run a receiver; provide it with its certificate files, which may be replaced."""
    mine = authority.sign("mine")
    with running_receiver(tmp_path / "root", tls=tls_settings(mine)) as running:
        yield running, mine


def test_a_new_certificate_is_used_without_a_restart(
    renewing: tuple[Receiver, Signed], authority: Authority, pacs: Signed
) -> None:
    receiver, mine = renewing
    assert replaced(receiver, pacs) == "mine"
    authority.sign("renewed").put_in_place_of(mine)
    assert replaced(receiver, pacs) == "renewed"


def test_a_broken_new_certificate_leaves_the_old_one_in_use_and_is_logged(
    renewing: tuple[Receiver, Signed], pacs: Signed, authority: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver, mine = renewing
    authority.sign("half").certificate.replace(mine.certificate)
    assert replaced(receiver, pacs) == "mine"
    logged = capfd.readouterr().out
    assert logged.count("certificate_not_reloaded") == 1
    assert "does not belong to it" in logged
    assert replaced(receiver, pacs) == "mine"
    assert "certificate_not_reloaded" not in capfd.readouterr().out


def closed_after(connection: socket.socket) -> float:
    """Return the seconds until the receiver closes a connection."""
    started = time.monotonic()
    connection.settimeout(10)
    try:
        while connection.recv(4096):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    return time.monotonic() - started


def client_hello() -> bytes:
    """Return the first bytes of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="node").do_handshake()
    return outgoing.read()


@pytest.mark.alone
@pytest.mark.parametrize("sent", [b"", b"\x16", client_hello()[:-1], client_hello()], ids=["0", "1", "most", "hello"])
def test_an_unfinished_handshake_is_closed_in_time_and_delays_no_other_peer(
    receiver: Receiver, pacs: Signed, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", tls_port(receiver))) as slow:
        slow.sendall(sent)
        assert echoes(tls_port(receiver), pacs, pacs.ca)
        assert closed_after(slow) < 2 * PATIENCE_S + 1


@pytest.mark.alone
def test_a_handshake_byte_by_byte_is_closed_in_time(receiver: Receiver) -> None:
    hello = client_hello()
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", tls_port(receiver))) as slow:
        slow.settimeout(PATIENCE_S / 10)
        for number in range(len(hello)):
            try:
                slow.sendall(hello[number : number + 1])
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert time.monotonic() - started < 2 * PATIENCE_S + 1


def test_a_tls_association_ends_when_the_receiver_stops(tmp_path: Path, node: Signed, pacs: Signed) -> None:
    with running_receiver(tmp_path / "root", tls=tls_settings(node)) as receiver:
        plain = socket.create_connection(("127.0.0.1", tls_port(receiver)))
        secured = caller(pacs, pacs.ca).wrap_socket(plain, server_hostname="127.0.0.1")
        secured.sendall(associate_rq())
        assert secured.recv(1) == b"\x02"
    with secured:
        assert closed_after(secured) < 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_is_resumed(tmp_path: Path, node: Signed, pacs: Signed, version: ssl.TLSVersion) -> None:
    context = caller(pacs, pacs.ca)
    context.minimum_version = context.maximum_version = version
    reused, session = [], None
    with running_receiver(tmp_path / "root", tls=tls_settings(node)) as receiver:
        for _ in range(3):
            with (
                socket.create_connection(("127.0.0.1", tls_port(receiver)), timeout=20) as connection,
                context.wrap_socket(connection, server_hostname="127.0.0.1", session=session) as secured,
            ):
                secured.sendall(associate_rq())
                assert secured.recv(65_536)[:1] == b"\2"
                reused.append(secured.session_reused)
                session = secured.session
                # OpenSSL drops the session of a connection that is not closed properly.
                secured.sendall(struct.pack(">BBII", 5, 0, 4, 0))
                assert secured.recv(65_536)[:1] == b"\6"
                with contextlib.suppress(OSError):
                    secured.unwrap()
    assert reused == [False, False, False]
