"""The certificate with which a node calls its own TLS port, signed by itself and renewed before it expires."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from glam_node.node.tls.contexts import CertificateFiles

CERTIFICATE_FILE, KEY_FILE = "certificate.pem", "key.pem"
_VALID, _RENEWED_BEFORE = timedelta(days=365), timedelta(days=30)


def own_client_files(folder: Path, name: str, now: datetime) -> CertificateFiles:
    """Return certificate and key of the node as a TLS client; make them if they are missing or expire soon.

    Args:
        folder: The directory of both files.
        name: The common name.
        now: Current time.

    Raises:
        OSError: The files cannot be written.
    """
    # Imported here because only nodes with tls.port need it.
    from cryptography import x509

    certificate, key = folder / CERTIFICATE_FILE, folder / KEY_FILE
    try:
        expires = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        expires = now
    if expires < now + _RENEWED_BEFORE or not key.is_file():
        _make(certificate, key, name, now)
    return CertificateFiles("tls", certificate, key)


def _make(certificate: Path, key: Path, name: str, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, private.public_key(), x509.random_serial_number())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    signed = (
        builder.not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now.astimezone(UTC) + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(private, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    _write(key, private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    _write(certificate, signed.public_bytes(pem))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    part.replace(path)
