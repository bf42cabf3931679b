"""TLS 1.2 and 1.3 as PS3.15 B.12 and B.13 want them, from files that may change while the node runs."""

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from glam_node.node.errors import PermanentError

log = structlog.get_logger(__name__)

# RFC 9325 section 4.2 and PS3.15 B.13: forward secrecy and authenticated encryption, keys of 112 bits and more.
# Those of TLS 1.3 are OpenSSL's, which are the profile's.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
MISMATCH = "KEY_VALUES_MISMATCH"

Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """Where a certificate, its key and the authorities of the other side lie."""

    section: str
    """Of the settings, such as tls or destinations.archive."""
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    def signature(self) -> Signature:
        """Another whenever a file is written anew, put in the place of the old one, or gone."""
        return tuple(_signature(path) for path in (self.certificate, self.key, self.ca))


class ContextOfFiles:
    """The TLS context of files: read again when they change; files that cannot be used leave the old one in force."""

    def __init__(
        self, files: Files, build: Callable[[Files], ssl.SSLContext], *, for_one_connection: bool = False
    ) -> None:
        """Build contexts from `files`; each `for_one_connection` where no session may be resumed on another."""
        self._files = files
        self._build = build
        self._for_one_connection = for_one_connection
        self._lock = threading.Lock()
        self._signature: Signature | None = None
        self._context: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """What new connections use. Raises PermanentError when there never were files that can be used."""
        with self._lock:
            signature = self._files.signature()
            if self._context is None or signature != self._signature:
                self._context = self._rebuilt()
                self._signature = signature
            elif self._for_one_connection:
                # Files that became unusable leave the old context in force, which was logged then.
                with suppress(PermanentError):
                    self._context = self._build(self._files)
            return self._context

    def _rebuilt(self) -> ssl.SSLContext:
        try:
            context = self._build(self._files)
        except PermanentError as error:
            if self._context is None:
                raise
            log.error("certificate_not_reloaded", section=self._files.section, failure=str(error))
            return self._context
        log.info("certificate_loaded", section=self._files.section, certificate=str(self._files.certificate or ""))
        return context


def server_context(files: Files, client_certificate: ssl.VerifyMode) -> ssl.SSLContext:
    """What a listener speaks (PS3.15 B.12, in the role of server). Raises PermanentError naming the file."""
    context = _profile(ssl.PROTOCOL_TLS_SERVER)
    # No session is taken up again: every connection shows its certificate to the authorities of this moment. Without
    # tickets OpenSSL still resumes sessions of TLS 1.2 by their id on the same context, which Python cannot forbid:
    # whoever listens has a context for each connection.
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_chain(context, files)
    if client_certificate != ssl.CERT_NONE:
        context.verify_mode = client_certificate
        _load_authorities(context, files)
    return context


def client_context(files: Files) -> ssl.SSLContext:
    """What we speak when we call (PS3.15 B.12, in the role of client). Raises PermanentError naming the file.

    The server's certificate must be of a known authority and hold the name that is called.
    """
    context = _profile(ssl.PROTOCOL_TLS_CLIENT)
    if files.certificate is not None:
        _load_chain(context, files)
    if files.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, files)
    return context


def _profile(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_chain(context: ssl.SSLContext, files: Files) -> None:
    assert files.certificate is not None  # noqa: S101 - the schema asks for both
    assert files.key is not None  # noqa: S101
    for name, path in (("certificate", files.certificate), ("key", files.key)):
        _readable(files, name, path)
    where = f"{files.section}.certificate {files.certificate}"
    try:
        # Without a password of its own OpenSSL would ask for one at the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        raise PermanentError(f"{where} cannot be used: {_chain_trouble(files, error)}") from error
    except OSError as error:
        raise PermanentError(f"{where} cannot be read: {error.strerror}") from error


def _chain_trouble(files: Files, error: ssl.SSLError) -> str:
    if error.reason == MISMATCH:
        return f"{files.section}.key {files.key} is not its key. Put the two that belong together there."
    if error.reason is None or "BAD_DECRYPT" in error.reason or "PASSWORD" in error.reason:
        return f"it is no PEM certificate, or {files.section}.key {files.key} is encrypted or no PEM key."
    return f"{error.reason.replace('_', ' ').lower()}. Give certificate and key as PEM, RSA of 2048 bits or more."


def _load_authorities(context: ssl.SSLContext, files: Files) -> None:
    assert files.ca is not None  # noqa: S101 - the schema asks for it
    _readable(files, "ca", files.ca)
    try:
        context.load_verify_locations(files.ca)
    except ssl.SSLError as error:
        raise PermanentError(f"{files.section}.ca {files.ca} holds no certificate. Give PEM.") from error
    # What is in `ca` is trusted as it is: a certificate that a site lists there need not be of an authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _readable(files: Files, name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise PermanentError(
            f"{files.section}.{name} {path} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status is not None else None
