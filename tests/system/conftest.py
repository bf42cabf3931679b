"""Archives, certificates and one synthetic exam for all system tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority, Signed
from tests.peers import PEERS
from tests.ports import free_port
from tests.system.node_process import phantom_exam
from tests.system.orthanc import BASIC, Orthanc, running_orthanc


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """Yield an empty Orthanc."""
    with running_orthanc(tmp_path / "orthanc") as archive:
        yield archive


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Signed]:
    """Return certificates of an archive and of the node, signed by one authority."""
    authority = Authority(tmp_path_factory.mktemp("tls") / "authority")
    return {name: authority.sign(name) for name in ("archive", "node")}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Orthanc]:
    """Yield an Orthanc with DICOMweb that answers everyone."""
    with running_orthanc(tmp_path / "plain", plugins=(PEERS["orthanc-dicomweb"].program,)) as archive:
        yield archive


@pytest.fixture
def secured(tmp_path: Path, certificates: dict[str, Signed]) -> Iterator[Orthanc]:
    """Yield an Orthanc that requires TLS with a client certificate for DICOM, and a password for HTTP."""
    directory, theirs = tmp_path / "secured", certificates["archive"]
    directory.mkdir()
    plugins = (PEERS["orthanc-dicomweb"].program,)
    archive = Orthanc(directory, free_port(), free_port(), plugins=plugins, authorization=BASIC)
    archive.more = {
        "DicomWeb": {"Enable": True, "Root": "/dicom/"},
        "DicomAlwaysAllowGet": True,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"node": "secret of the archive"},
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs.certificate),
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsTrustedCertificates": str(theirs.ca),
        "DicomTlsRemoteCertificateRequired": True,
    }
    archive.start()
    try:
        yield archive
    finally:
        archive.kill()


@pytest.fixture(scope="session")
def exam(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of one synthetic four-view exam, as `glam-node phantom` writes them."""
    return phantom_exam(tmp_path_factory.mktemp("exam"))
