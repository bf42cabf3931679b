"""A certificate authority and the certificates that it signs, created with the openssl command."""

import hashlib
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

CONFIGURATION = """
[ca]
default_ca = authority
[authority]
dir = {root}
database = {root}/index
serial = {root}/serial
new_certs_dir = {root}
certificate = {root}/ca.pem
private_key = {root}/ca.key
default_md = sha256
policy = anything
unique_subject = no
copy_extensions = copy
[anything]
commonName = supplied
"""
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate, its key, and the certificate of the authority."""

    certificate: Path
    key: Path
    ca: Path

    @property
    def fingerprint(self) -> str:
        """The fingerprint as OpenSSL writes it: upper case, with colons."""
        encoded = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        digest = hashlib.sha256(encoded).hexdigest().upper()
        return "sha256:" + ":".join(digest[at : at + 2] for at in range(0, 64, 2))

    def put_in_place_of(self, other: "Signed") -> None:
        """Move the certificate and key over those of `other`."""
        self.certificate.replace(other.certificate)
        self.key.replace(other.key)


class Authority:
    """An authority that signs certificates for 127.0.0.1 in its own directory."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self._root = root
        (root / "index").touch()
        (root / "serial").write_text("01\n")
        (root / "ca.cnf").write_text(CONFIGURATION.format(root=root))
        self._openssl("req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=ca")

    def sign(
        self, name: str, *, starts_in: timedelta = timedelta(hours=-1), ends_in: timedelta = timedelta(days=365)
    ) -> Signed:
        """Create a certificate with the common name `name` that is valid for 127.0.0.1 and localhost."""
        self._openssl(
            *("req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        )
        now = datetime.now(UTC)
        dates = [f"{now + away:%Y%m%d%H%M%SZ}" for away in (starts_in, ends_in)]
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", f"{name}.csr", "-out", f"{name}.pem"),
            *("-startdate", dates[0], "-enddate", dates[1]),
        )
        return Signed(self._root / f"{name}.pem", self._root / f"{name}.key", self._root / "ca.pem")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._root, check=True, capture_output=True)
