"""Storage over DICOMweb (STOW-RS, PS3.18 10.5): result objects go to a server as they lie on disk."""

import http.client
import json
import secrets
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.store import ANSWERS, SOP_CLASS_NOT_SUPPORTED
from glam_node.node.scu.tls import PeerTLS, peer_tls
from glam_node.settings.destinations import DestinationSettings
from glam_node.settings.secret_files import SecretFileError, read_secret

_PIECE = 2**20
_LONGEST_ANSWER = 2**22
# PS3.18 Annex F: elements by tag
_REFERENCED, _FAILED, _UID, _REASON = "00081199", "00081198", "00081155", "00081197"
_NOT_AUTHORIZED = "Check destinations.{name}.authorization."
_NO_SERVICE = "Check destinations.{name}.service_path, host and port."
_ITS_LOG = "Look into its log."
# What helps, and whether trying again may: a setting is mended by a person, then results go out by themselves.
_REMEDIES = {
    401: (_NOT_AUTHORIZED, True),
    403: (_NOT_AUTHORIZED, True),
    404: (_NO_SERVICE, True),
    405: (_NO_SERVICE, True),
    408: ("It is tried again.", True),
    413: ("Have it take larger objects.", False),
    429: ("It is tried again.", True),
}


class _Secured(http.client.HTTPSConnection):
    """The certificate must be for `name`, whatever address is called."""

    def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._secure, self._name = context, name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._secure.wrap_socket(self.sock, server_hostname=self._name)


@dataclass(frozen=True, slots=True)
class WebPeer:
    """A DICOMweb server that we call."""

    name: str
    """The NAME of [destinations.NAME]."""
    host: str
    port: int
    service_path: str
    timeout: float
    authorization: Path | None
    tls: PeerTLS | None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as the socket library takes them."""
        return self.host, self.port

    def __str__(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}{self.service_path}"

    def connection(self) -> http.client.HTTPConnection:
        """Not opened yet. Raises TransientError when there are no certificates that can be used."""
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        return _Secured(
            self.host, self.port, timeout=self.timeout, context=self.tls.context(), name=self.tls.server_name
        )

    def headers(self) -> dict[str, str]:
        """Of every request. Raises TransientError when the file that authorizes cannot be read."""
        headers = {"Accept": "application/dicom+json", "User-Agent": "glam-node"}
        if self.authorization is None:
            return headers
        try:
            return {**headers, "Authorization": read_secret(self.authorization)}
        except SecretFileError as error:
            key = f"destinations.{self.name}.authorization"
            raise TransientError(f"{key}: {error}. Correct that file.") from None


def web_peer(name: str, destination: DestinationSettings) -> WebPeer:
    """The server that [destinations.NAME] describes."""
    return WebPeer(
        name,
        destination.host,
        destination.port,
        destination.service_path.rstrip("/"),
        destination.timeout,
        destination.authorization,
        peer_tls(name, destination),
    )


class StowDestination:
    """A DICOMweb server; every call is one connection, every object one request."""

    def __init__(self, peer: WebPeer) -> None:
        self._peer = peer

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._peer.name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """One outcome per instance, in order, each read from its own answer; never raises for a failing peer."""
        outcomes: list[StoreOutcome] = []
        if not instances:
            return outcomes
        try:
            with closing(self._peer.connection()) as connection:
                for instance in instances:
                    outcomes.append(self._store_one(connection, instance))  # noqa: PERF401 - kept when the next fails
        except TransientError as error:
            rest = instances[len(outcomes) :]
            outcomes += [StoreOutcome(one.sop_instance_uid, False, None, True, str(error)) for one in rest]
        return outcomes

    def _store_one(self, connection: http.client.HTTPConnection, instance: OutgoingInstance) -> StoreOutcome:
        boundary = f"glam-node-{secrets.token_hex(12)}"
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        try:
            size = instance.path.stat().st_size
        except OSError as error:
            failure = f"{instance.path} cannot be sent: {error}. Restore the file."
            return StoreOutcome(instance.sop_instance_uid, False, None, False, failure)
        headers = {
            **self._peer.headers(),
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(head) + size + len(tail)),
        }
        status, said = _asked(self._peer, connection, "POST", "/studies", headers, _body(head, instance.path, tail))
        return self._outcome(instance, status, said)

    def _outcome(self, instance: OutgoingInstance, status: int, said: dict[str, Any]) -> StoreOutcome:
        uid = instance.sop_instance_uid
        if uid in _reasons(said, _REFERENCED):
            return StoreOutcome(uid, True, status, False, "")
        reason = _reasons(said, _FAILED).get(uid)
        if reason is None:
            remedy, transient = remedy_for(self._peer, status)
            failure = f"{self._peer} answered {status} to STOW-RS of {uid} and does not say that it is stored. {remedy}"
            return StoreOutcome(uid, False, status, transient, failure)
        answer = next(one for one in ANSWERS if one.first <= reason <= one.last)
        remedy = answer.remedy.format(name=self.name, calling_ae_title="this node")
        failure = (
            f"{self._peer} answered {status}, reason 0x{reason:04X} ({answer.meaning}), to STOW-RS of {uid}. {remedy}"
        )
        refused = reason == SOP_CLASS_NOT_SUPPORTED
        return StoreOutcome(uid, answer.stored, reason, answer.transient, "" if answer.stored else failure, refused)


def look(peer: WebPeer) -> str:
    """That a DICOMweb service answers there, asked for one study. Raises TransientError, PermanentError."""
    with closing(peer.connection()) as connection:
        status, _ = _asked(peer, connection, "GET", "/studies?limit=1", peer.headers(), None)
    if status not in (200, 204):
        raise PermanentError(f"{peer} answered {status} to a search. {remedy_for(peer, status)[0]}", status=status)
    return f"{peer} answers to DICOMweb."


def remedy_for(peer: WebPeer, status: int) -> tuple[str, bool]:
    """What to do about an HTTP status, and whether trying again may help."""
    remedy, transient = _REMEDIES.get(status, (_ITS_LOG, not 400 <= status < 500))
    return remedy.format(name=peer.name), transient


def _body(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
    yield tail


def _asked(
    peer: WebPeer,
    connection: http.client.HTTPConnection,
    method: str,
    resource: str,
    headers: dict[str, str],
    body: Iterator[bytes] | None,
) -> tuple[int, dict[str, Any]]:
    """Status and what the answer says, if anything that can be read. Raises TransientError when none comes."""
    try:
        connection.request(method, f"{peer.service_path}{resource}", body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read(_LONGEST_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(
            f"{peer} did not answer to {method} {resource}: {error or type(error).__name__}. "
            f"Is it running? Check destinations.{peer.name}.host and port."
        ) from error
    try:
        said = json.loads(content)
    except ValueError:
        said = {}
    return answer.status, said if isinstance(said, dict) else {}


def _reasons(said: dict[str, Any], sequence: str) -> dict[str, int]:
    """SOP Instance UID -> Failure Reason, or 0 where none is stated, of the items of one sequence."""
    reasons = {}
    try:
        for item in said.get(sequence, {}).get("Value", []):
            (uid,) = item[_UID]["Value"]
            reasons[str(uid)] = int(item.get(_REASON, {}).get("Value", [0])[0])
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return {}
    return reasons
