"""A-ASSOCIATE by pynetdicom's classes, against a table that is made once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

from glam_node import __version__
from glam_node.node.scp.pdu import MalformedPDU

IMPLEMENTATION_CLASS_UID = "2.25.302043790172249692526321623266752743501"
# PS3.8 Table 9-18
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """What a presentation context id stands for in one association."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An association request."""

    calling_ae_title: str
    called_ae_title: str
    primitive: A_ASSOCIATE


def parse(body: bytes) -> Proposal:
    """The request whose PDU has this body. Raises MalformedPDU."""
    try:
        request = A_ASSOCIATE_RQ()
        request.decode(b"\x01\x00" + len(body).to_bytes(4, "big") + body)
        primitive = request.to_primitive()
        return Proposal(primitive.calling_ae_title.strip(), primitive.called_ae_title.strip(), primitive)
    except Exception as error:  # pynetdicom raises whatever its parsing meets
        raise MalformedPDU(f"A-ASSOCIATE-RQ cannot be understood ({type(error).__name__})") from error


def accept(
    proposal: Proposal, contexts: Mapping[str, tuple[str, ...]], maximum_pdu_length: int
) -> tuple[bytes, dict[int, AcceptedContext]]:
    """The A-ASSOCIATE-AC PDU, and what was accepted by context id."""
    accepted: dict[int, AcceptedContext] = {}
    results = []
    for proposed in proposal.primitive.presentation_context_definition_list:
        result = _answer(proposed, contexts)
        results.append(result)
        if result.result == ACCEPTED:
            context = AcceptedContext(str(proposed.abstract_syntax), str(result.transfer_syntax[0]))
            accepted[proposed.context_id or 0] = context
    answer = A_ASSOCIATE()
    answer.application_context_name = "1.2.840.10008.3.1.1.1"
    answer.calling_ae_title = proposal.primitive.calling_ae_title
    answer.called_ae_title = proposal.primitive.called_ae_title
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = _user_information(maximum_pdu_length)
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    encoded: bytes = pdu.encode()
    return encoded, accepted


def _answer(proposed: PresentationContext, contexts: Mapping[str, tuple[str, ...]]) -> PresentationContext:
    answer = PresentationContext()
    answer.context_id = proposed.context_id
    ours = contexts.get(str(proposed.abstract_syntax))
    offered = [str(syntax) for syntax in proposed.transfer_syntax]
    chosen = next((syntax for syntax in ours or () if syntax in offered), None)
    answer.transfer_syntax = [chosen or offered[0]]
    if ours is None:
        answer.result = NO_ABSTRACT_SYNTAX
    else:
        answer.result = ACCEPTED if chosen else NO_TRANSFER_SYNTAX
    return answer


def _user_information(maximum_pdu_length: int) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = maximum_pdu_length
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = f"GLAM_NODE_{__version__}"[:16]
    return [length, class_uid, version]
