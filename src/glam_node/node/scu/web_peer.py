"""DICOMweb servers that the node calls, as destinations or sources."""

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path

from glam_node.node.errors import TransientError
from glam_node.node.scu.tls import PeerTLS, listens, peer_tls, speaks_http, speaks_tls
from glam_node.settings.destinations import StowSettings
from glam_node.settings.secret_files import SecretFileError, read_secret
from glam_node.settings.sources import DicomwebSettings

DIAGNOSIS_TIMEOUT_S = 2.0


class _HTTPSConnection(http.client.HTTPSConnection):
    """An HTTPS connection whose server certificate must be valid for `name`, even if the host has another name."""

    def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._secure, self._name = context, name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._secure.wrap_socket(self.sock, server_hostname=self._name)


@dataclass(frozen=True, slots=True)
class WebPeer:
    """A DICOMweb server that the node calls."""

    name: str
    """The NAME of its section in the settings."""
    section: str
    """The section of the settings that describes it, such as destinations.NAME."""
    host: str
    port: int
    service_path: str
    timeout: float
    authorization: Path | None
    tls: PeerTLS | None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for the socket library."""
        return self.host, self.port

    def __str__(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}{self.service_path}"

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet.

        Raises:
            TransientError: The certificate files cannot be used.
        """
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        return _HTTPSConnection(
            self.host, self.port, timeout=self.timeout, context=self.tls.context(), name=self.tls.server_name
        )

    def headers(self) -> dict[str, str]:
        """Return the headers of every request.

        Raises:
            TransientError: The file with the authorization cannot be read.
        """
        headers = {"Accept": "application/dicom+json", "User-Agent": "glam-node"}
        if self.authorization is None:
            return headers
        try:
            return {**headers, "Authorization": read_secret(self.authorization)}
        except SecretFileError as error:
            raise TransientError(f"{self.section}.authorization: {error}. Correct that file.") from None


def other_protocol(peer: WebPeer) -> str:
    """Return the remedy for a server that accepts connections but does not speak HTTP; empty for any other failure."""
    if peer.tls is not None or speaks_http(peer.address, min(peer.timeout, DIAGNOSIS_TIMEOUT_S)):
        return ""
    if not listens(peer.address, DIAGNOSIS_TIMEOUT_S):
        return ""
    if speaks_tls(peer.address, DIAGNOSIS_TIMEOUT_S):
        return f"It expects TLS: set {peer.section}.tls = true, or {peer.section}.port to its port without TLS."
    return (
        f"Something listens there that does not speak HTTP, perhaps DICOM: set {peer.section}.port to the port of the "
        "DICOMweb service, not to the DICOM port."
    )


def web_peer(name: str, server: StowSettings | DicomwebSettings) -> WebPeer:
    """Return the server that [destinations.NAME] or [sources.NAME] describes."""
    section = f"{'sources' if isinstance(server, DicomwebSettings) else 'destinations'}.{name}"
    return WebPeer(
        name,
        section,
        server.host,
        server.port,
        server.service_path.rstrip("/"),
        server.timeout,
        server.authorization,
        peer_tls(section, server),
    )
