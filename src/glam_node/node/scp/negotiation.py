"""Negotiation of associations: read an A-ASSOCIATE-RQ and accept or reject its presentation contexts (PS3.8 9.3)."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glam_node import __version__
from glam_node.node.domain import implementation
from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.scp.access import Rejection
from glam_node.node.scp.contexts import LOSSY
from glam_node.node.scp.pdu import MalformedPDU
from glam_node.node.upper_layer import associate
from glam_node.node.upper_layer.associate import Associate, Context, MalformedAssociate

# PS3.8 Table 9-21: result, source and reason
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection((1, 2, 2), "the association's protocol version is not DICOM's", "")
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection((1, 1, 2), "the association's application context is not DICOM's", "")


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An association request: its fixed fields, and its whole body as bytes."""

    calling_ae_title: str
    called_ae_title: str
    protocol_version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The acceptance of an association request."""

    encoded: bytes
    """The A-ASSOCIATE-AC PDU."""
    contexts: dict[int, AcceptedContext]
    """The accepted contexts by presentation context ID."""
    maximum_length: int
    """Maximum length in bytes of a P-DATA-TF that the peer receives; 0 for no limit."""


def parse(body: memoryview) -> Proposal:
    """Parse the fixed fields of an A-ASSOCIATE-RQ body.

    Raises:
        MalformedPDU: The body is shorter than its fixed fields.
    """
    if len(body) < associate.FIXED_LENGTH:
        raise MalformedPDU("an A-ASSOCIATE-RQ that is cut")
    (protocol_version,) = struct.unpack_from(">H", body)
    return Proposal(title_of(body[20:36]), title_of(body[4:20]), protocol_version, bytes(body))


def pass_code_of(proposal: Proposal) -> str:
    """Return the pass code of an association request; empty if it has none, or cannot be understood."""
    try:
        return associate.decode(proposal.body).pass_code
    except MalformedAssociate:
        return ""


def title_of(field: bytes | memoryview) -> str:
    """Return an AE title without padding, with ? for unprintable characters; some senders end the title with a NUL."""
    text = bytes(field).decode("ascii", "replace").partition("\0")[0].strip()
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in text)


def accept(
    proposal: Proposal, contexts: Mapping[str, tuple[str, ...]], maximum_pdu_length: int
) -> Acceptance | Rejection:
    """Accept or reject an association request.

    Args:
        proposal: The request.
        contexts: Transfer syntaxes in order of preference, by abstract syntax.
        maximum_pdu_length: Maximum length in bytes of a P-DATA-TF that this node receives.

    Raises:
        MalformedPDU: An item of the request is truncated.
    """
    try:
        request = associate.decode(proposal.body)
    except MalformedAssociate as error:
        raise MalformedPDU(f"A-ASSOCIATE-RQ cannot be understood: {error}") from error
    if not proposal.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != associate.APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    answers = tuple(_answer(proposed, contexts) for proposed in request.contexts)
    accepted = {
        answer.context_id: AcceptedContext(proposed.abstract_syntax, answer.transfer_syntaxes[0])
        for proposed, answer in zip(request.contexts, answers, strict=True)
        if answer.result == associate.ACCEPTED
    }
    # A peer that requests storage commitment is its SCU; a peer that replies to a request of ours is its SCP.
    roles = {uid: roles for uid, roles in request.roles.items() if uid == PUSH_MODEL}
    answer = Associate(contexts=answers, maximum_length=maximum_pdu_length, roles=roles)
    # PS3.8 9.3.3: the AE titles are sent back unchanged.
    fixed = struct.pack(">HH", 1, 0) + proposal.body[4:36] + bytes(32)
    version = implementation.version_name(__version__)
    encoded = associate.encode(associate.ASSOCIATE_AC, fixed, answer, implementation.CLASS_UID, version)
    return Acceptance(encoded, accepted, request.maximum_length)


def _answer(proposed: Context, contexts: Mapping[str, tuple[str, ...]]) -> Context:
    ours = contexts.get(proposed.abstract_syntax)
    if ours is None:
        return Context(proposed.context_id, result=associate.NO_ABSTRACT_SYNTAX)
    chosen = choose_transfer_syntax(proposed.transfer_syntaxes, ours)
    if chosen is None:
        return Context(proposed.context_id, result=associate.NO_TRANSFER_SYNTAX)
    return Context(proposed.context_id, transfer_syntaxes=(chosen,))


def choose_transfer_syntax(offered: Sequence[str], ours: Sequence[str]) -> str | None:
    """Return the preferred transfer syntax that both sides support, or None if there is no common one.

    A lossy syntax is chosen only if it is the first common one in the sender's list. Senders list the syntax of their
    files first; otherwise they might compress images with loss in order to send them.

    Args:
        offered: Transfer syntaxes of the sender, in its order.
        ours: Transfer syntaxes of this node, in order of preference.
    """
    common = [syntax for syntax in offered if syntax in ours]
    if common and common[0] in LOSSY:
        return common[0]
    lossless = [syntax for syntax in common if syntax not in LOSSY]
    return min(lossless, key=ours.index, default=None)
