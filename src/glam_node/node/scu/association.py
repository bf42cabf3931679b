"""Associations that the node requests. Each failure becomes a TransientError or a PermanentError."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation, UserIdentityNegotiation
from pynetdicom.presentation import PresentationContext

from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.scu.answer_timeouts import AnswerWait, silence_of
from glam_node.node.scu.requesting_ae import RequestingAE
from glam_node.node.scu.tls import PeerTLS, handshake_failure, speaks_http, speaks_tls

DIAGNOSIS_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class RemoteAE:
    """An application entity that the node calls."""

    name: str
    """The NAME of [destinations.NAME]."""
    ae_title: str
    host: str
    port: int
    timeout: float
    """Seconds to wait for the connection and for any answer."""
    calling_ae_title: str
    """The AE title of this node."""
    tls: PeerTLS | None = None
    """The TLS settings; None for plain DICOM."""
    settings_section: str = ""
    """The section of the settings that describes it, if it is not [destinations.NAME]."""
    pass_code: str = ""
    """Pass code by which this node proves who it is (PS3.7 D.3.3.7); empty for none."""

    @property
    def section(self) -> str:
        """Prefix of its keys in the settings."""
        return self.settings_section or f"destinations.{self.name}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for the socket library."""
        return self.host, self.port

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}{' (TLS)' if self.tls is not None else ''}"


@dataclass(frozen=True, slots=True)
class RejectionMeaning:
    """Meaning of a rejected association: the reason, the remedy, and whether another attempt may succeed."""

    reason: str
    remedy: str
    transient: bool


class SOPClassRefused(PermanentError):
    """The peer accepted no presentation context for the objects or the service."""


# PS3.8 Table 9-21, A-ASSOCIATE-RJ: (source, reason)
REJECTIONS = {
    (1, 1): RejectionMeaning("no reason given", "Check the archive's log.", True),
    (1, 2): RejectionMeaning("application context name not supported", "Check {section}.port.", False),
    (1, 3): RejectionMeaning(
        "calling AE title not recognized", "Register {calling_ae_title} at the archive, or check node.ae_title.", False
    ),
    (1, 7): RejectionMeaning("called AE title not recognized", "Check {section}.ae_title.", False),
    (2, 1): RejectionMeaning("no reason given (ACSE)", "Check the archive's log.", True),
    (2, 2): RejectionMeaning("protocol version not supported", "Check {section}.port.", False),
    (3, 1): RejectionMeaning("temporary congestion", "The node tries again.", True),
    (3, 2): RejectionMeaning(
        "local limit exceeded", "The node tries again. Allow more associations at the archive.", True
    ),
}
OWN_REMEDY = (
    "The running node has other settings: `glam-node settings diff` shows them. Apply the new ones with "
    "`glam-node settings reload`, or restart the node."
)
"""The remedy if the node itself, as it runs, rejects an association that its settings file admits."""
UNKNOWN_REJECTION = RejectionMeaning("unknown reason", "Check the archive's log.", True)
REJECTED_TRANSIENT = 2
# PS3.7 Table D.3-14
USERNAME_AND_PASSCODE = 2


@contextmanager
def open_association(
    peer: RemoteAE,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[tuple[evt.EventType, Callable[[Event], Any]]] = (),
    answer_timeout_factor: int = 1,
) -> Iterator[Association]:
    """Open an association with at least one accepted context; release it at the end, or abort it after an error.

    Args:
        peer: The application entity to call.
        contexts: The presentation contexts to propose.
        roles: The roles to propose, if they are not the default ones.
        handlers: The handlers of pynetdicom's events, such as requests of the peer on this association.
        answer_timeout_factor: The factor by which the peer may exceed its timeout once it has received a request.

    Raises:
        TransientError: The association failed, and another attempt may succeed.
        PermanentError: The association fails until a person acts.
    """
    secure = (peer.tls.context(), peer.tls.server_name) if peer.tls is not None else None
    with closing(RequestingAE(peer.calling_ae_title, secure)) as ae:
        association = _request(ae, peer, contexts, roles, handlers)
        AnswerWait(association, peer.timeout, answer_timeout_factor)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()


def _request(
    ae: AE,
    peer: RemoteAE,
    contexts: Sequence[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    handlers: Sequence[tuple[evt.EventType, Callable[[Event], Any]]],
) -> Association:
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = peer.timeout
    started = time.monotonic()
    connected: list[Event] = []
    answers: list[A_ASSOCIATE] = []
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            ext_neg=[*roles, *_user_identity(peer)],
            evt_handlers=[
                (evt.EVT_CONN_OPEN, connected.append),
                (evt.EVT_PDU_RECV, _keep_answer, [answers]),
                *handlers,
            ],
        )
    except socket.gaierror as error:
        raise TransientError(
            f"{peer} cannot be reached: the name {peer.host} has no address ({error.strerror}). "
            f"Check {peer.section}.host."
        ) from error
    if association.is_established:
        # pynetdicom measures silence by the wall clock, so a clock that jumps ahead would end the association. Each
        # request here limits the wait for its answer itself.
        association.network_timeout = None
        return association
    if not connected:
        raise _unreachable(peer)
    raise _refused(peer, next(iter(answers), None), contexts, time.monotonic() - started)


def _user_identity(peer: RemoteAE) -> list[UserIdentityNegotiation]:
    """Return the user identity to propose: the calling AE title with the pass code, if there is one."""
    if not peer.pass_code:
        return []
    identity = UserIdentityNegotiation()
    identity.user_identity_type = USERNAME_AND_PASSCODE
    identity.primary_field = peer.calling_ae_title.encode("ascii")
    identity.secondary_field = peer.pass_code.encode("ascii")
    return [identity]


def _unreachable(peer: RemoteAE) -> TransientError:
    """Return the error for a peer that could not be connected to.

    pynetdicom logs the reason but does not return it, so the node connects once more to find the reason.
    """
    timeout_s = min(peer.timeout, DIAGNOSIS_TIMEOUT_S)
    try:
        if peer.tls is not None and (failure := handshake_failure(peer.tls, peer.address, timeout_s)):
            return TransientError(f"{peer}: {failure}.")
        socket.create_connection(peer.address, timeout=timeout_s).close()
        reason = f"no connection within {peer.timeout:g} s"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    return TransientError(
        f"{peer} cannot be reached: {reason}. Is it running? Check {peer.section}.host and {peer.section}.port."
    )


def _keep_answer(event: Event, answers: list[A_ASSOCIATE]) -> None:
    """Append the peer's answer to the association request to `answers`; ignore everything that the peer sends later.

    pynetdicom's own record is empty if the peer rejects and closes before the requesting thread wakes up.
    """
    if isinstance(event.pdu, A_ASSOCIATE_AC | A_ASSOCIATE_RJ):
        answers.append(event.pdu.to_primitive())


def _refused(
    peer: RemoteAE, answer: A_ASSOCIATE | None, contexts: Sequence[PresentationContext], elapsed_s: float
) -> NodeError:
    if answer is not None and answer.result == 0:
        return no_context_accepted(peer, contexts)
    if answer is not None:
        return _rejected(peer, answer.result or 0, answer.result_source or 0, answer.diagnostic or 0)
    if elapsed_s >= peer.timeout:
        return TransientError(
            _protocol_mismatch(peer)
            or f"{peer} did not answer the association request within {peer.timeout:g} s. "
            f"Check that {peer.section}.port is its DICOM port, or raise {peer.section}.timeout."
        )
    return TransientError(
        _protocol_mismatch(peer)
        or f"{peer} accepted the connection and closed it without an answer to the association request. "
        f"Check that {peer.section}.port is its DICOM port, and check the archive's log."
    )


def _protocol_mismatch(peer: RemoteAE) -> str:
    """Return a message if the peer speaks HTTP, or if the use of TLS is the likely cause; otherwise an empty string."""
    timeout_s = min(peer.timeout, DIAGNOSIS_TIMEOUT_S)
    if peer.tls is None:
        if speaks_http(peer.address, timeout_s):
            return f"{peer} answers with HTTP, like a web server. Set {peer.section}.port to its DICOM port."
        if speaks_tls(peer.address, timeout_s):
            return f"{peer} expects TLS. Set {peer.section}.tls = true, or {peer.section}.port to its port without TLS."
        return ""
    try:
        failure = handshake_failure(peer.tls, peer.address, timeout_s)
    except OSError:
        return ""
    return f"{peer}: {failure}." if failure else ""


def _rejected(peer: RemoteAE, result: int, source: int, reason: int) -> NodeError:
    rejection = REJECTIONS.get((source, reason), UNKNOWN_REJECTION)
    remedy = rejection.remedy.format(section=peer.section, calling_ae_title=peer.calling_ae_title)
    if peer.section == "node" and not rejection.transient:
        remedy = OWN_REMEDY
    kind = TransientError if rejection.transient or result == REJECTED_TRANSIENT else PermanentError
    return kind(
        f"{peer} rejected the association: {rejection.reason}. {remedy}", status=result << 16 | source << 8 | reason
    )


def no_context_accepted(peer: RemoteAE, contexts: Sequence[PresentationContext]) -> SOPClassRefused:
    """Return the error for a peer that accepts none of the presentation contexts."""
    proposed = sorted(
        {f"{UID(context.abstract_syntax or '').name} ({context.transfer_syntax[0].name})" for context in contexts}
    )
    return SOPClassRefused(
        f"{peer} accepts none of: {', '.join(proposed)}. "
        f"Have the archive accept it from {peer.calling_ae_title}, remove it from {peer.section}.results, "
        f"or name a fallback for it in {peer.section}.fallbacks."
    )


def lost_association(peer: RemoteAE, asked: str, association: Association) -> TransientError:
    """Return the error for an association that ended without an answer to a request.

    Args:
        peer: The peer.
        asked: The name of the request.
        association: The association, which says whether the peer ended it or was silent for too long.
    """
    silent_s = silence_of(association)
    if silent_s is None:
        return TransientError(
            f"{peer} ended the association without an answer to {asked}. The node tries again. Check the archive's log."
        )
    return TransientError(
        f"{peer} gave no answer within {silent_s:.3g} s to {asked}. The node tries again. Check the archive's log, or "
        f"raise {peer.section}.timeout if the archive needs longer."
    )
