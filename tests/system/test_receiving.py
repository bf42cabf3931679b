"""A node that listens as configured: plain and over TLS, for configured peers, with configured timeouts."""

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import EnhancedCTImageStorage
from pynetdicom.association import Association

from glam_node.node.scu.requesting_ae import RequestingAE
from tests.certificates import Authority, Signed
from tests.integration.modality import MODALITY, small_exam
from tests.integration.scp.raw import VERIFICATION, Sender
from tests.ports import free_port
from tests.preloaded import Popen
from tests.system.node_process import GLAM_NODE
from tests.system.site import Site, folder, running_site

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

KNOWN, URGENT, LATER, ELSEWHERE = "KNOWN", "URGENT", "LATER", "ELSEWHERE"


@dataclass
class Certificates:
    """Certificates of the node, of a sender that it accepts, and of another sender from the same authority."""

    node: Signed
    known: Signed
    other: Signed


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    authority = Authority(tmp_path_factory.mktemp("tls") / "authority")
    return Certificates(*(authority.sign(name) for name in ("node", "known", "other")))


@pytest.fixture(scope="module")
def site(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    settings: dict[str, Any] = {
        "node": {
            "ae_title": "READER",
            "maximum_associations": 2,
            "maximum_pdu_length": 16384,
            "network_timeout": 2.0,
            "receiver_processes": 2,
            "require_called_ae_title": False,
            "additional_storage_sop_classes": [EnhancedCTImageStorage],
        },
        "tls": {
            "port": free_port(),
            "certificate": certificates.node.certificate,
            "key": certificates.node.key,
            "ca": certificates.node.ca,
            "client_certificate": "required",
            "handshake_timeout": 1.0,
        },
        "peers": {
            "known": {"ae_title": KNOWN, "certificates": [certificates.known.fingerprint]},
            "urgent": {"ae_title": URGENT, "priority": "urgent"},
            "later": {"ae_title": LATER, "priority": "backfill"},
            "modality": {"priority": "screening"},
            "elsewhere": {"ae_title": ELSEWHERE, "hosts": ["10.0.0.0/8"]},
        },
        "destinations": {"folder": folder(root / "folder")},
    }
    with running_site(root, settings) as running:
        running.tls_port = settings["tls"]["port"]
        yield running


@contextmanager
def association(
    port: int, calling: str = MODALITY, called: str = "READER", tls: ssl.SSLContext | None = None
) -> Iterator[Association]:
    """Request an association for Verification and Enhanced CT Image Storage."""
    ae = RequestingAE(calling)
    ae.acse_timeout = ae.network_timeout = ae.dimse_timeout = 30
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(EnhancedCTImageStorage)
    secured: dict[str, Any] = {"tls_args": (tls, "127.0.0.1")} if tls else {}
    asked = ae.associate("127.0.0.1", port, ae_title=called, **secured)
    try:
        yield asked
    finally:
        if asked.is_established:
            asked.release()


def speaks(ca: Path, signed: Signed | None) -> ssl.SSLContext:
    """Return the TLS context of a sender with this certificate, or without one."""
    context = ssl.create_default_context(cafile=ca)
    if signed is not None:
        context.load_cert_chain(signed.certificate, signed.key)
    return context


def is_let_in(port: int, calling: str = MODALITY, called: str = "READER", tls: ssl.SSLContext | None = None) -> bool:
    """Return whether a C-ECHO succeeds."""
    with association(port, calling, called, tls) as asked:
        return bool(asked.is_established and asked.send_c_echo().Status == 0)


@pytest.mark.features(
    *("node.ae_title", "node.host", "node.port", "node.maximum_pdu_length", "node.require_called_ae_title"),
    *("node.additional_storage_sop_classes", "glam-node serve"),
)
def test_an_association_is_negotiated_by_the_settings_of_the_node(site: Site) -> None:
    with association(site.port, called="ANYBODY") as asked:
        assert asked.acceptor.maximum_length == 16384
        assert {context.abstract_syntax for context in asked.accepted_contexts} == {
            VERIFICATION,
            EnhancedCTImageStorage,
        }


@pytest.mark.features("node.maximum_associations")
def test_one_association_more_than_the_node_serves_is_rejected(site: Site) -> None:
    with association(site.port) as first, association(site.port) as second, association(site.port) as third:
        assert [one.is_established for one in (first, second, third)] == [True, True, False]
    assert is_let_in(site.port)


@pytest.mark.features("node.network_timeout", "node.receiver_processes")
def test_a_silent_sender_is_cut_off_after_the_network_timeout(site: Site) -> None:
    with Sender(site.port) as sender:
        assert sender.associate(calling=MODALITY) == 2
        assert sender.is_closed_within(30)


@pytest.mark.features("peers.NAME.ae_title", "peers.NAME.hosts")
def test_a_peer_is_known_by_its_title_and_by_where_it_calls_from(site: Site) -> None:
    assert is_let_in(site.port, URGENT)
    assert not is_let_in(site.port, ELSEWHERE)
    assert "ELSEWHERE" in site.command("status", expect=None)


@pytest.mark.features("peers.NAME.priority", "peers.NAME.priority = *")
@pytest.mark.parametrize(("title", "priority"), [(URGENT, "urgent"), (MODALITY, "screening"), (LATER, "backfill")])
def test_a_study_has_the_priority_of_its_sender(site: Site, title: str, priority: str) -> None:
    study = site.send(small_exam(700 + len(priority)), title, "READER")
    (job,) = [one["detail"] for one in site.wait_for(study)["timeline"] if one["event"] == "job_submitted"]
    assert job["priority"] == priority


@pytest.mark.features(
    *("tls.port", "tls.certificate", "tls.key", "tls.ca", "tls.client_certificate = required"),
    "peers.NAME.certificates",
)
def test_a_tls_sender_must_show_a_known_certificate(site: Site, certificates: Certificates) -> None:
    ca = certificates.node.ca
    known, other, none = (speaks(ca, signed) for signed in (certificates.known, certificates.other, None))
    assert is_let_in(site.tls_port, KNOWN, tls=known)
    assert not is_let_in(site.tls_port, KNOWN, tls=other)
    assert is_let_in(site.tls_port, MODALITY, tls=other)
    assert not is_let_in(site.tls_port, MODALITY, tls=none)
    assert not is_let_in(site.port, KNOWN)


@pytest.mark.features("tls.handshake_timeout")
def test_a_connection_that_never_becomes_tls_is_closed(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.tls_port)) as silent:
        silent.settimeout(30)
        assert silent.recv(1) == b""


@contextmanager
def one_more_receiver(site: Site, **settings: object) -> Iterator[int]:
    """Run `glam-node receiver` with these settings in its environment, and yield its port."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GLAM_NODE")}
    environment |= {f"GLAM_NODE__{name}": str(value) for name, value in settings.items()}
    command = [str(GLAM_NODE), "--settings", str(site.path), "receiver"]
    with (
        (site.path.parent / "receiver.log").open("ab") as log,
        Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield int(line.split("127.0.0.1:")[1].split()[0])
        finally:
            process.terminate()
            assert process.wait(60) == 0


@pytest.mark.features("glam-node receiver", "tls.plain", "tls.client_certificate", "tls.client_certificate = none")
def test_a_receiver_without_a_plain_port_asks_nobody_for_a_certificate(site: Site, certificates: Certificates) -> None:
    plain, secured = free_port(), free_port()
    settings: dict[str, object] = {
        "NODE__PORT": plain,
        "TLS__PORT": secured,
        "TLS__PLAIN": "false",
        "TLS__CLIENT_CERTIFICATE": "none",
    }
    with one_more_receiver(site, **settings, PEERS__KNOWN__CERTIFICATES="[]"):
        assert is_let_in(secured, tls=speaks(certificates.node.ca, None))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", plain))


@pytest.mark.features("tls.client_certificate = optional")
def test_a_receiver_with_optional_certificates_takes_a_study(site: Site, certificates: Certificates) -> None:
    plain, secured = free_port(), free_port()
    settings: dict[str, object] = {"NODE__PORT": plain, "TLS__PORT": secured, "TLS__CLIENT_CERTIFICATE": "optional"}
    with one_more_receiver(site, **settings):
        assert is_let_in(secured, tls=speaks(certificates.node.ca, None))
        assert is_let_in(secured, KNOWN, tls=speaks(certificates.node.ca, certificates.known))
        study = Site(site.path, plain).send(small_exam(721), called_ae_title="READER")
        site.wait_for(study)
