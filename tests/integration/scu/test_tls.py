"""TLS to archives of DCMTK and pynetdicom, and the messages if the two sides do not agree."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from glam_node.node.scu.echo import EchoOutcome, echo, remote_ae_of
from glam_node.node.scu.store import CStoreDestination
from glam_node.settings.destinations import CStoreSettings
from tests.certificates import Authority, Signed
from tests.integration.archive import Archive, pynetdicom_archive
from tests.integration.scu.conftest import Outgoing
from tests.peers import PEERS
from tests.ports import free_port
from tests.waiting import wait_for_listener


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> Signed:
    return authority.sign("archive")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Signed:
    return authority.sign("node")


def destination(port: int, ours: Signed | None, ca: Path | None, **stated: Any) -> CStoreSettings:
    """Return the settings of [destinations.archive] over TLS."""
    files = {"certificate": ours.certificate, "key": ours.key} if ours is not None else {}
    values = {"host": "127.0.0.1", "port": port, "tls": True, "ca": ca, "timeout": 5, **files, **stated}
    return CStoreSettings.model_validate(values)


@contextmanager
def storescp(directory: Path, theirs: Signed) -> Iterator[int]:
    """Yield the port of DCMTK's archive, which requires certificates and keeps the objects that it receives."""
    port = free_port()
    files: list[str | Path] = ["+tls", theirs.key, theirs.certificate, "+cf", theirs.ca]
    command = [PEERS["dcmtk"].program.with_name("storescp"), "-rc", *files, "-aet", "ARCHIVE", "-od", directory]
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_listener(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def asked(settings: CStoreSettings) -> EchoOutcome:
    return echo("archive", settings, "GLAMNODE")


@pytest.mark.peer("dcmtk")
def test_a_result_is_stored_at_storescp_over_tls(
    outgoing: Outgoing, theirs: Signed, ours: Signed, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with storescp(kept, theirs) as port:
        peer = remote_ae_of("archive", destination(port, ours, theirs.ca), "GLAMNODE")
        (outcome,) = CStoreDestination(peer).store([outgoing()])
    assert outcome.stored, outcome.failure
    assert len(list(kept.iterdir())) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_versions_of_the_profile_are_spoken(theirs: Signed, ours: Signed, version: ssl.TLSVersion) -> None:
    with pynetdicom_archive(theirs, version=version) as port:
        report = asked(destination(port, ours, theirs.ca))
    assert report.ok, report.message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_archive_that_asks_for_a_certificate_says_which_setting(theirs: Signed, version: ssl.TLSVersion) -> None:
    with pynetdicom_archive(theirs, version=version) as port:
        report = asked(destination(port, None, theirs.ca))
    assert not report.ok
    assert "it asks for a certificate" in report.message
    assert "destinations.archive.certificate" in report.message


def test_an_archive_that_asks_for_none_needs_none(theirs: Signed) -> None:
    with pynetdicom_archive(theirs, ssl.CERT_NONE) as port:
        assert asked(destination(port, None, theirs.ca)).ok


def test_an_archive_of_an_unknown_authority_is_not_trusted(theirs: Signed, ours: Signed, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").sign("other")
    with pynetdicom_archive(theirs) as port:
        report = asked(destination(port, ours, other.ca))
    assert "its certificate is not trusted" in report.message
    assert "destinations.archive.ca" in report.message


def test_an_archive_with_another_name_is_not_trusted(theirs: Signed, ours: Signed) -> None:
    with pynetdicom_archive(theirs) as port:
        report = asked(destination(port, ours, theirs.ca, server_name="pacs.example.org"))
        assert asked(destination(port, ours, theirs.ca, server_name="localhost")).ok
    assert "pacs.example.org" in report.message
    assert "destinations.archive.server_name" in report.message


def test_an_archive_whose_certificate_expired_is_not_trusted(authority: Authority, ours: Signed) -> None:
    late = authority.sign("late", ends_in=timedelta(minutes=-1))
    with pynetdicom_archive(late) as port:
        assert "certificate has expired" in asked(destination(port, ours, late.ca)).message


def test_tls_to_an_archive_that_speaks_plain_dicom_says_so(archive: Archive, ours: Signed) -> None:
    report = asked(destination(archive.port, ours, ours.ca))
    assert "TLS failed" in report.message
    assert "destinations.archive.port" in report.message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_plain_dicom_to_an_archive_that_speaks_tls_says_so(theirs: Signed, version: ssl.TLSVersion) -> None:
    with pynetdicom_archive(theirs, version=version) as port:
        settings = CStoreSettings(host="127.0.0.1", port=port, timeout=5)
        report = asked(settings)
    assert "expects TLS. Set destinations.archive.tls = true" in report.message


def test_a_missing_file_is_named_and_tried_again(outgoing: Outgoing, theirs: Signed, ours: Signed) -> None:
    gone = Signed(ours.certificate, ours.key.with_name("gone.key"), ours.ca)
    peer = remote_ae_of("archive", destination(1, gone, theirs.ca), "GLAMNODE")
    (outcome,) = CStoreDestination(peer).store([outgoing()])
    assert outcome.transient
    assert "destinations.archive.key" in outcome.failure
    assert "no such file" in outcome.failure


def test_a_new_certificate_is_shown_without_a_restart(outgoing: Outgoing, theirs: Signed, authority: Authority) -> None:
    mine, other = authority.sign("mine", ends_in=timedelta(minutes=-1)), authority.sign("other")
    with pynetdicom_archive(theirs) as port:
        store = CStoreDestination(remote_ae_of("archive", destination(port, mine, theirs.ca), "GLAMNODE")).store
        (refused,) = store([outgoing()])
        other.put_in_place_of(mine)
        (outcome,) = store([outgoing()])
    assert (refused.stored, refused.transient) == (False, True)
    assert "renew destinations.archive.certificate" in refused.failure
    assert outcome.stored, outcome.failure
