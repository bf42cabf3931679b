"""Storage over DICOMweb (STOW-RS, PS3.18 10.5): sends result objects to a server."""

import http.client
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import BinaryIO

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.answer_timeouts import ANSWER_TIMEOUT_FACTOR, limit_answer_time
from glam_node.node.scu.store import SOP_CLASS_NOT_SUPPORTED, STATUS_MEANINGS, warning_of
from glam_node.node.scu.stow_answer import OK, StowAnswer, read_answer
from glam_node.node.scu.web_peer import WebPeer, other_protocol

_CHUNK_BYTES = 2**20
_MAXIMUM_ANSWER_BYTES = 2**22
_NOT_AUTHORIZED = "Check destinations.{name}.authorization."
_NO_SERVICE = "Check destinations.{name}.service_path, destinations.{name}.host and destinations.{name}.port."
_ITS_LOG = "Check the server's log."
_BAD_REQUEST = "Check destinations.{name}.service_path, and the server's log."
# HTTP status -> remedy, and whether another attempt may succeed. Once a person has corrected a setting, results are
# sent without further action.
_REMEDIES = {
    400: (_BAD_REQUEST, False),
    401: (_NOT_AUTHORIZED, True),
    403: (_NOT_AUTHORIZED, True),
    404: (_NO_SERVICE, True),
    405: (_NO_SERVICE, True),
    408: ("The node tries again.", True),
    413: ("Let the server accept larger objects.", False),
    429: ("The node tries again.", True),
}
_DELETED = frozenset({200, 202, 204})
_STATUSES_OF_ANY_OBJECT = frozenset({*range(300, 400), 401, 403, 404, 405, 429, 503})
"""Statuses that are independent of the object that was sent."""


class StowDestination:
    """A DICOMweb server that stores results; each call of `store` is one connection, each object one request."""

    def __init__(self, peer: WebPeer) -> None:
        self._peer = peer

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._peer.name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Send instances and return the outcome of each, in order, from its own answer.

        No error is raised if the peer fails; the outcomes state the failure.
        """
        outcomes: list[StoreOutcome] = []
        if not instances:
            return outcomes
        is_open = False
        try:
            with closing(self._peer.connection()) as connection:
                _connect(self._peer, connection)
                is_open = True
                for instance in instances:
                    outcomes.append(self._store_one(connection, instance))
                    if not outcomes[-1].reached:
                        raise TransientError(outcomes.pop().failure)
        except _Lost as error:
            # If the connection ends before any object is answered, the object that was being sent may be the cause.
            if is_open and not any(outcome.status for outcome in outcomes):
                uid = instances[len(outcomes)].sop_instance_uid
                outcomes.append(StoreOutcome(uid, False, None, True, str(error), broke_off=True))
            outcomes += _unsent(instances[len(outcomes) :], error)
        except TransientError as error:
            outcomes += _unsent(instances[len(outcomes) :], error)
        return outcomes

    def _store_one(self, connection: http.client.HTTPConnection, instance: OutgoingInstance) -> StoreOutcome:
        uid = instance.sop_instance_uid
        boundary = f"glam-node-{secrets.token_hex(12)}"
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        try:
            with instance.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                headers = {
                    **self._peer.headers(),
                    "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                    "Content-Length": str(len(head) + size + len(tail)),
                }
                answer = _answer_to(self._peer, connection, "POST", "/studies", headers, _body(head, file, tail))
        except _Unreadable as error:
            raise _Lost(_not_sent(instance, error)) from error
        except OSError as error:
            return StoreOutcome(uid, False, None, True, _not_sent(instance, error))
        return self._outcome(instance, answer)

    def _outcome(self, instance: OutgoingInstance, answer: StowAnswer) -> StoreOutcome:
        uid, status = instance.sop_instance_uid, answer.status
        if answer.has_stored(uid):
            return StoreOutcome(uid, True, status, False, "", warning=_warning(instance, answer.stored.get(uid, 0)))
        reason = answer.reason_of(uid)
        if not reason:
            remedy, transient = remedy_for(self._peer, status)
            failure = f"{self._peer} answered {status} to STOW-RS of {uid} and does not say that it is stored. {remedy}"
            return StoreOutcome(uid, False, status, transient, failure, reached=status not in _STATUSES_OF_ANY_OBJECT)
        meaning = next(one for one in STATUS_MEANINGS if one.first <= reason <= one.last)
        remedy = meaning.remedy.format(name=self.name, calling_ae_title="this node")
        failure = (
            f"{self._peer} answered {status}, reason 0x{reason:04X} ({meaning.meaning}), to STOW-RS of {uid}. {remedy}"
        )
        if meaning.stored:
            return StoreOutcome(uid, True, reason, False, "", warning=_warning(instance, reason))
        return StoreOutcome(uid, False, reason, meaning.transient, failure, reason == SOP_CLASS_NOT_SUPPORTED)


def check_web_server(peer: WebPeer) -> str:
    """Check that a DICOMweb service answers a search for one study.

    Returns:
        A sentence that confirms the answer.

    Raises:
        TransientError: The server gave no answer.
        PermanentError: The server answered with a failure, or with a web page.
    """
    with closing(peer.connection()) as connection:
        _connect(peer, connection)
        answer = _answer_to(peer, connection, "GET", "/studies?limit=1", peer.headers(), None)
    status = answer.status
    if status == OK and answer.is_page:
        remedy = f"Check destinations.{peer.name}.service_path and destinations.{peer.name}.authorization."
        raise PermanentError(f"{peer} answered with a web page to a search, perhaps a sign-in page. {remedy}")
    if status not in (OK, 204):
        raise PermanentError(f"{peer} answered {status} to a search. {remedy_for(peer, status)[0]}", status=status)
    return f"{peer} answers to DICOMweb."


def delete_study(peer: WebPeer, study_instance_uid: str) -> None:
    """Have a server delete a study, which many offer beyond the standard.

    Raises:
        TransientError: The server gave no answer.
        PermanentError: The server does not delete it.
    """
    with closing(peer.connection()) as connection:
        _connect(peer, connection)
        answer = _answer_to(peer, connection, "DELETE", f"/studies/{study_instance_uid}", peer.headers(), None)
    if answer.status not in _DELETED:
        raise PermanentError(
            f"{peer} answered {answer.status} to DELETE of {study_instance_uid}.", status=answer.status
        )


def remedy_for(peer: WebPeer, status: int) -> tuple[str, bool]:
    """Return the remedy for an HTTP status, and whether another attempt may succeed."""
    otherwise = _NO_SERVICE if 300 <= status < 400 else _ITS_LOG
    remedy, transient = _REMEDIES.get(status, (otherwise, not 400 <= status < 500))
    return remedy.format(name=peer.name), transient


class _Lost(TransientError):
    """The server gave no answer to a request."""


class _Unreadable(Exception):
    """The file could not be read to its end while it was sent."""


def _unsent(instances: Sequence[OutgoingInstance], error: TransientError) -> list[StoreOutcome]:
    return [StoreOutcome(one.sop_instance_uid, False, None, True, str(error), reached=False) for one in instances]


def _not_sent(instance: OutgoingInstance, error: Exception) -> str:
    return f"{instance.path} cannot be sent: {error}. The node tries again. Restore the file if that fails."


def _warning(instance: OutgoingInstance, reason: int) -> str:
    meaning = next(one.meaning for one in STATUS_MEANINGS if one.first <= reason <= one.last)
    return warning_of(instance, reason, meaning, "") if reason else ""


def _body(head: bytes, file: BinaryIO, tail: bytes) -> Iterator[bytes]:
    yield head
    try:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
    except OSError as error:
        raise _Unreadable(str(error)) from error
    yield tail


def _connect(peer: WebPeer, connection: http.client.HTTPConnection) -> None:
    try:
        connection.connect()
    except OSError as error:
        raise _no_answer(peer, "a connection", error) from error


def _answer_to(
    peer: WebPeer,
    connection: http.client.HTTPConnection,
    method: str,
    resource: str,
    headers: dict[str, str],
    body: Iterator[bytes] | None,
) -> StowAnswer:
    """Return the answer to a request.

    Raises:
        _Lost: The server gave no answer.
    """
    try:
        connection.request(method, f"{peer.service_path}{resource}", body=body, headers=headers)
        limit_s = peer.timeout
        if body is not None and connection.sock is not None:
            # A server that works for a long time on an object after its last byte is not dead.
            limit_s *= ANSWER_TIMEOUT_FACTOR
            connection.sock.settimeout(limit_s)
        with limit_answer_time(connection, limit_s):
            answer = connection.getresponse()
            content = answer.read(_MAXIMUM_ANSWER_BYTES)
        if connection.sock is not None:
            connection.sock.settimeout(peer.timeout)
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(peer, f"{method} {resource}", error) from error
    return read_answer(answer.status, content)


def _no_answer(peer: WebPeer, asked: str, error: Exception) -> _Lost:
    section = f"destinations.{peer.name}"
    slow = f", or raise {section}.timeout ({peer.timeout:g} s)" if isinstance(error, TimeoutError) else ""
    if remedy := other_protocol(peer):  # the answer of another protocol is no text
        return _Lost(f"{peer} did not answer to {asked} in HTTP. {remedy}")
    remedy = f"Is it running? Check {section}.host and {section}.port{slow}."
    return _Lost(f"{peer} did not answer to {asked}: {unstopped(error) or type(error).__name__}. {remedy}")
