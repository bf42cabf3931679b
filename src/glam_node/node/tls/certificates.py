"""Contents of certificates: names and fingerprints of peers, and validity of certificates."""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from glam_node.node.errors import PermanentError
from glam_node.node.tls.contexts import CertificateFiles, server_context

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name: expired certificates must be readable here.
NO_CHECK_TIME = 0x200000
HANDSHAKE_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A certificate that a peer presented and that a trusted authority issued."""

    fingerprint: str
    """"sha256:" and the SHA-256 of the certificate (DER) in lower-case hex digits."""
    names: frozenset[str]
    """Common and alternative names, in lower case."""

    def is_one_of(self, known: tuple[str, ...]) -> bool:
        """Return whether the fingerprint or one of the names is in `known`."""
        return not {self.fingerprint, *self.names}.isdisjoint(known)


def peer_certificate(connection: ssl.SSLSocket | ssl.SSLObject) -> PeerCertificate | None:
    """Return the verified certificate of the peer after the handshake; None if it was not requested or presented."""
    encoded, decoded = connection.getpeercert(binary_form=True), _decoded(connection)
    if not encoded or not decoded:
        return None
    common = [value for part in decoded.get("subject", ()) for key, value in part if key == "commonName"]
    alternative = [str(value) for _, value in decoded.get("subjectAltName", ())]
    names = frozenset(name.lower() for name in [*common, *alternative])
    return PeerCertificate(f"sha256:{hashlib.sha256(encoded).hexdigest()}", names)


@dataclass(frozen=True, slots=True)
class Validity:
    """The period of validity of a certificate."""

    not_before: datetime
    not_after: datetime


def validity(files: CertificateFiles, *, of_server: bool) -> Validity:
    """Return the period of validity of a certificate of the node.

    The certificate is presented in a handshake in memory, since the standard library decodes certificates only there.

    Args:
        files: The certificate and its key.
        of_server: Whether the node uses the certificate as a TLS server; otherwise as a TLS client.

    Raises:
        PermanentError: The certificate cannot be used in this role.
    """
    presenting, verifying = server_context(files, ssl.CERT_NONE), _verifying_context(files, of_server)
    server, client = (presenting, verifying) if of_server else (verifying, _presenting_client(files))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    client_end = client.wrap_bio(to_client, to_server)
    try:
        for end in [client_end, server_end] * HANDSHAKE_ROUNDS:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason
        raise PermanentError(f"{files.section}.certificate {files.certificate} cannot be used: {reason}") from error
    decoded = _decoded(client_end if of_server else server_end)
    return Validity(_parsed_time(decoded["notBefore"]), _parsed_time(decoded["notAfter"]))


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """The certificate that a server presents, whether it is trusted or not."""

    names: frozenset[str]
    not_after: datetime


def server_certificate(
    address: tuple[str, int], server_name: str, timeout_s: float, chain: CertificateFiles
) -> ServerCertificate:
    """Return the certificate that a server presents, whether it is trusted or not.

    Two handshakes are necessary: the standard library decodes only a trusted certificate, so the second handshake
    trusts the certificate of the first.

    Args:
        address: Host and port of the server.
        server_name: The name for Server Name Indication.
        timeout_s: Timeout in seconds of each network operation.
        chain: The certificate and key of this node for mutual TLS, if any.

    Raises:
        OSError: No handshake succeeded.
    """
    verifying = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verifying.check_hostname = False
    verifying.verify_mode = ssl.CERT_NONE
    if chain.certificate is not None:
        verifying.load_cert_chain(chain.certificate, chain.key, password="")
    with _secured(verifying, address, server_name, timeout_s) as first:
        encoded = first.getpeercert(binary_form=True) or b""
    verifying.load_verify_locations(cadata=encoded)
    verifying.verify_mode = ssl.CERT_REQUIRED
    verifying.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(NO_CHECK_TIME)
    with _secured(verifying, address, server_name, timeout_s) as again:
        shown, decoded = peer_certificate(again), _decoded(again)
    return ServerCertificate(shown.names if shown is not None else frozenset(), _parsed_time(decoded["notAfter"]))


@contextmanager
def _secured(
    context: ssl.SSLContext, address: tuple[str, int], server_name: str, timeout_s: float
) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(address, timeout=timeout_s) as connection,
        context.wrap_socket(connection, server_hostname=server_name) as secured,
    ):
        yield secured


def authorities(context: ssl.SSLContext) -> list[tuple[str, Validity]]:
    """Return name and period of validity of every authority that `context` trusts."""
    known: list[dict[str, Any]] = list(context.get_ca_certs())
    return [
        (
            ", ".join(value for part in one.get("subject", ()) for _, value in part),
            Validity(_parsed_time(one["notBefore"]), _parsed_time(one["notAfter"])),
        )
        for one in known
    ]


def out_of_date(files: CertificateFiles, context: ssl.SSLContext, now: datetime) -> Iterator[str]:
    """Yield a message for the certificate of the node and for each authority in `ca` that is not valid at `now`.

    Args:
        files: The certificate and the authorities.
        context: The context that was built from the files.
        now: The current time.
    """
    if files.certificate is not None:
        try:
            own = validity(files, of_server=context.protocol == ssl.PROTOCOL_TLS_SERVER)
        except PermanentError as error:
            yield str(error)
        else:
            yield from _trouble(f"{files.certificate}", own, now)
    for name, period in authorities(context) if files.ca is not None else ():
        yield from _trouble(f"The authority {name} in {files.ca}", period, now)


def _trouble(what: str, period: Validity, now: datetime) -> Iterator[str]:
    if now < period.not_before:
        yield f"{what} is not valid before {period.not_before:%Y-%m-%d %H:%M} UTC"
    if now > period.not_after:
        yield f"{what} has expired: it was valid until {period.not_after:%Y-%m-%d %H:%M} UTC"


def _verifying_context(files: CertificateFiles, of_server: bool) -> ssl.SSLContext:
    """Return a context for the other side of the handshake, which requests the certificate and trusts it."""
    if of_server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
    else:
        context = server_context(files, ssl.CERT_NONE)
        context.verify_mode = ssl.CERT_REQUIRED
    assert files.certificate is not None  # noqa: S101 - server_context has read it
    context.load_verify_locations(files.certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(NO_CHECK_TIME)
    return context


def _presenting_client(files: CertificateFiles) -> ssl.SSLContext:
    """Return a client context that presents the certificate and verifies none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert files.certificate is not None  # noqa: S101 - server_context has read it
    context.load_cert_chain(files.certificate, files.key, password="")
    return context


def _decoded(connection: ssl.SSLSocket | ssl.SSLObject) -> dict[str, Any]:
    return dict(connection.getpeercert() or {})


def _parsed_time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
