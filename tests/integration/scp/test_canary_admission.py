"""Admission of the canary: a pass code of the node admits it for one study, and its AE title alone nobody."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.node.db import canary
from glam_node.node.domain.canary import AE_TITLE, CERTIFICATE_NAME, CanaryRun
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.store import CStoreDestination
from glam_node.node.scu.tls import PeerTLS
from glam_node.node.tls.contexts import CertificateFiles, client_context
from glam_node.node.tls.own_certificate import own_client_files
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.settings.tls import TLSSettings
from tests.certificates import Authority
from tests.integration.scp.conftest import Receiver, running_receiver

NOW = datetime.now(UTC)
Send = Callable[..., StoreOutcome]


def sending(receiver: Receiver, pass_code: str) -> CanaryRun:
    """Return a canary that is being sent with this pass code."""
    with receiver.sessions.begin() as session:
        run = canary.request(session, NOW, scheduled=False)
        assert canary.begin_sending(session, run, pass_code)
    return run


@pytest.fixture
def image() -> Dataset:
    return make_exam(3, rows=64, columns=48)[0].dataset


@pytest.fixture
def send(receiver: Receiver, image: Dataset, tmp_path: Path) -> Send:
    """Return a function that sends the image as part of a study."""

    def store(pass_code: str, study_instance_uid: str, title: str = AE_TITLE) -> StoreOutcome:
        image.StudyInstanceUID, path = study_instance_uid, tmp_path / "image.dcm"
        image.save_as(path, enforce_file_format=True)
        syntax = str(image.file_meta.TransferSyntaxUID)
        port = RemoteAE("node", "GLAMNODE", "127.0.0.1", receiver.port, 10.0, title, pass_code=pass_code)
        one = OutgoingInstance(str(image.SOPClassUID), str(image.SOPInstanceUID), syntax, path)
        (outcome,) = CStoreDestination(port).store([one])
        return outcome

    return store


def test_the_pass_code_admits_the_study_of_the_canary_and_no_other(receiver: Receiver, send: Send) -> None:
    run = sending(receiver, "the code")
    assert send("the code", "1.2.3").status == 0xA900
    assert send("the code", run.study_instance_uid).stored


def test_the_title_without_a_valid_pass_code_is_judged_as_any_other(receiver: Receiver, send: Send) -> None:
    run = sending(receiver, "the code")
    for code in ("", "another code"):
        outcome = send(code, run.study_instance_uid)
        assert "calling AE title not recognized" in outcome.failure
    assert send("the code", "1.2.3", title="PYNETDICOM").stored
    assert "not recognized" in send("the code", run.study_instance_uid, title="STRANGER").failure


def test_the_pass_code_is_worthless_after_the_canary_was_sent(receiver: Receiver, send: Send) -> None:
    run = sending(receiver, "the code")
    with receiver.sessions.begin() as session:
        canary.set_sent(session, run, NOW)
    assert not send("the code", run.study_instance_uid).stored


@pytest.mark.parametrize("title", [AE_TITLE, "PYNETDICOM"])
def test_the_certificate_of_the_canary_admits_nobody_by_itself(
    title: str, image: Dataset, authority: Authority, tmp_path: Path
) -> None:
    signed, other = authority.sign("node"), Authority(tmp_path / "other").sign("pacs")
    tls = TLSSettings(port=0, certificate=signed.certificate, key=signed.key, ca=other.ca)
    own = own_client_files(tmp_path / "root" / "canary", CERTIFICATE_NAME, NOW)
    path = tmp_path / "image.dcm"
    image.save_as(path, enforce_file_format=True)
    one = OutgoingInstance(
        str(image.SOPClassUID), str(image.SOPInstanceUID), str(image.file_meta.TransferSyntaxUID), path
    )
    with running_receiver(tmp_path / "root", tls=tls) as receiver:
        files = replace(own, ca=signed.ca)
        secure = PeerTLS("127.0.0.1", files, ReloadingContext(files, client_context))
        port = RemoteAE("node", "GLAMNODE", "127.0.0.1", receiver.tls_port, 10.0, title, secure)
        (outcome,) = CStoreDestination(port).store([one])
        assert "calling AE title not recognized" in outcome.failure
        run = sending(receiver, "the code")
        image.StudyInstanceUID = run.study_instance_uid
        image.save_as(path, enforce_file_format=True)
        canary_port = replace(port, calling_ae_title=AE_TITLE, pass_code="the code")
        (outcome,) = CStoreDestination(canary_port).store([one])
        assert outcome.stored, outcome


def test_the_certificate_is_renewed_before_it_expires(tmp_path: Path) -> None:
    first = own_client_files(tmp_path, CERTIFICATE_NAME, NOW)
    assert isinstance(first, CertificateFiles)
    assert first.certificate is not None
    before = first.certificate.read_bytes()
    own_client_files(tmp_path, CERTIFICATE_NAME, NOW)
    assert first.certificate.read_bytes() == before
    own_client_files(tmp_path, CERTIFICATE_NAME, NOW.replace(year=NOW.year + 1))
    assert first.certificate.read_bytes() != before
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.pem")} == {0o600}
