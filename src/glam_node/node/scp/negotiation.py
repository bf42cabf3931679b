"""A-ASSOCIATE by pynetdicom's classes, against a table that is made once."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from glam_node import __version__
from glam_node.node.domain import implementation
from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.scp.access import Rejection
from glam_node.node.scp.contexts import LOSSY
from glam_node.node.scp.pdu import ASSOCIATE_RQ, MalformedPDU

# PS3.7 A.2.1
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
# PS3.8 Table 9-11: what stands before the variable items
FIXED_LENGTH = 68
# PS3.8 Table 9-21: result, source and reason
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection((1, 2, 2), "an association in a protocol version that is not DICOM's", "")
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection((1, 1, 2), "an association in a context that is not DICOM's", "")
# PS3.8 Table 9-18
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """What a presentation context id stands for in one association."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """The fixed part of an association request, and all of it."""

    calling_ae_title: str
    called_ae_title: str
    protocol_version: int
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """An association that may begin."""

    encoded: bytes
    """The A-ASSOCIATE-AC PDU."""
    contexts: dict[int, AcceptedContext]
    """By presentation context id."""


def parse(body: memoryview) -> Proposal:
    """The request whose PDU has this body; no more of it is looked at than says who asks. Raises MalformedPDU."""
    if len(body) < FIXED_LENGTH:
        raise MalformedPDU("an A-ASSOCIATE-RQ that is cut")
    (protocol_version,) = struct.unpack_from(">H", body)
    encoded = struct.pack(">BBI", ASSOCIATE_RQ, 0, len(body)) + body
    return Proposal(_title(body[20:36]), _title(body[4:20]), protocol_version, encoded)


def _title(field: memoryview) -> str:
    """Without padding, and fit to be shown."""
    text = bytes(field).decode("ascii", "replace").strip(" \0")
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in text)


def accept(
    proposal: Proposal, contexts: Mapping[str, tuple[str, ...]], maximum_pdu_length: int
) -> Accepted | Rejection:
    """What is answered to the proposal. Raises MalformedPDU."""
    request = _decoded(proposal)
    if not proposal.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    accepted: dict[int, AcceptedContext] = {}
    results = []
    for proposed in request.presentation_context_definition_list:
        result = _answer(proposed, contexts)
        results.append(result)
        if result.result == ACCEPTED:
            context = AcceptedContext(str(proposed.abstract_syntax), str(result.transfer_syntax[0]))
            accepted[proposed.context_id or 0] = context
    answer = A_ASSOCIATE()
    answer.application_context_name = APPLICATION_CONTEXT
    answer.calling_ae_title = request.calling_ae_title
    answer.called_ae_title = request.called_ae_title
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = [*_user_information(maximum_pdu_length), *_roles(request)]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return Accepted(pdu.encode(), accepted)


def _decoded(proposal: Proposal) -> A_ASSOCIATE:
    try:
        request = A_ASSOCIATE_RQ()
        request.decode(proposal.encoded)
        primitive = request.to_primitive()
        if all(proposed.transfer_syntax for proposed in primitive.presentation_context_definition_list):
            return primitive
    except Exception as error:  # pynetdicom raises whatever its parsing meets
        raise MalformedPDU(f"A-ASSOCIATE-RQ cannot be understood ({type(error).__name__})") from error
    raise MalformedPDU("A-ASSOCIATE-RQ with a presentation context that has no transfer syntax")


def _answer(proposed: PresentationContext, contexts: Mapping[str, tuple[str, ...]]) -> PresentationContext:
    answer = PresentationContext()
    answer.context_id = proposed.context_id
    ours = contexts.get(str(proposed.abstract_syntax))
    offered = [str(syntax) for syntax in proposed.transfer_syntax]
    chosen = choose_transfer_syntax(offered, ours or ())
    answer.transfer_syntax = [chosen or offered[0]]
    if ours is None:
        answer.result = NO_ABSTRACT_SYNTAX
    else:
        answer.result = ACCEPTED if chosen else NO_TRANSFER_SYNTAX
    return answer


def choose_transfer_syntax(offered: Sequence[str], ours: Sequence[str]) -> str | None:
    """The first of ours that is offered; a lossy one only when the sender names it before every lossless one.

    Senders name the syntax of their files first. Another lossy one would have them spoil an image on its way to us.
    """
    common = [syntax for syntax in offered if syntax in ours]
    if common and common[0] in LOSSY:
        return common[0]
    lossless = [syntax for syntax in common if syntax not in LOSSY]
    return min(lossless, key=ours.index, default=None)


def _roles(request: A_ASSOCIATE) -> Iterator[SCP_SCU_RoleSelectionNegotiation]:
    """Who asked for storage commitment calls as its SCU; who answers to our requests, as its SCP: either may."""
    for item in request.user_information:
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid == PUSH_MODEL:
            yield item


def _user_information(maximum_pdu_length: int) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = maximum_pdu_length
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = implementation.CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = implementation.version_name(__version__)
    return [length, class_uid, version]
