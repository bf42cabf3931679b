"""Association PDUs of peers, rewritten for pynetdicom, which fails on many that the standard allows or peers send."""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from glam_node.node.domain import implementation
from glam_node.node.upper_layer import associate
from glam_node.node.upper_layer.associate import ASSOCIATE_AC, ASSOCIATE_RQ, Associate, Context, MalformedAssociate

ASSOCIATE_RJ, ABORT = 3, 7
LONGEST_SENT = 131_072
"""Maximum length in bytes of a P-DATA-TF to a peer that allows more or states no limit."""
# PS3.8 Table 9-21: reasons of a rejection by its source
_REASONS = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}
_NO_REASON = (1, 1)
# Placeholder for a UID that cannot be read; no application supports it.
_UNKNOWN_UID = "0.0"
_STRICT_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


def rewrite_request(pdu: bytes) -> bytes:
    """Rewrite a PDU of a requestor for pynetdicom as the acceptor.

    Presentation contexts with an even id are left out. A UID that cannot be read is replaced by an unknown one, so that
    pynetdicom refuses its context.

    Args:
        pdu: An A-ASSOCIATE-RQ or any other PDU but a P-DATA-TF, as the peer sent it.
    """
    if pdu[0] != ASSOCIATE_RQ:
        return _rewrite_abort(pdu)
    try:
        request = associate.decode(pdu[6:])
    except MalformedAssociate:
        return pdu
    contexts = tuple(
        replace(
            context,
            abstract_syntax=_strict(context.abstract_syntax),
            transfer_syntaxes=tuple(map(_strict, context.transfer_syntaxes)) or (_UNKNOWN_UID,),
        )
        for context in request.contexts
        if context.context_id % 2
    )
    titles = b"".join((_title(pdu[start : start + 16]) or b"?").ljust(16) for start in (10, 26))
    roles = {uid: (scu & 1, scp & 1) for uid, (scu, scp) in request.roles.items() if (scu | scp) & 1 and uid}
    rewritten = Associate(_strict(request.application_context), contexts, request.maximum_length, roles)
    # pynetdicom accepts no bits but bit 0, which stands for the first version of the protocol.
    version = struct.pack(">HH", pdu[7] & 1, 0)
    return associate.encode(ASSOCIATE_RQ, version + titles + bytes(32), rewritten, implementation.CLASS_UID)


def _strict(uid: str) -> str:
    """Return the UID, or an unknown one if it is not valid by PS3.5 section 9.1."""
    return uid if _STRICT_UID.fullmatch(uid) else _UNKNOWN_UID


def _title(field: bytes) -> bytes:
    text = field.partition(b"\0")[0].strip()
    return bytes(byte if 0x20 <= byte < 0x7F and byte != 0x5C else 0x3F for byte in text)


def rewrite_answer(pdu: bytes, proposed: Mapping[int, Sequence[str]], roles: Mapping[str, tuple[int, int]]) -> bytes:
    """Rewrite a PDU of an acceptor for pynetdicom as the requestor.

    Args:
        pdu: An A-ASSOCIATE-AC, an A-ASSOCIATE-RJ or any other PDU but a P-DATA-TF, as the peer sent it.
        proposed: The transfer syntaxes that were proposed, by presentation context id.
        roles: The SCU role and SCP role that were proposed, by SOP class UID.
    """
    if pdu[0] == ASSOCIATE_RJ:
        return _rewrite_rejection(pdu)
    if pdu[0] != ASSOCIATE_AC:
        return _rewrite_abort(pdu)
    try:
        answer = associate.decode(pdu[6:])
    except MalformedAssociate:
        return pdu
    expected = [one for one in answer.contexts if one.context_id in proposed]
    rewritten = Associate(
        contexts=tuple(_answered(one, proposed[one.context_id]) for one in expected),
        maximum_length=min(answer.maximum_length or LONGEST_SENT, LONGEST_SENT),
        roles={
            uid: (ours[0] & scu & 1, ours[1] & scp & 1)
            for uid, (scu, scp) in answer.roles.items()
            if (ours := roles.get(uid)) is not None
        },
    )
    fixed = struct.pack(">HH", 1, 0) + b"?".ljust(16) * 2 + bytes(32)
    return associate.encode(ASSOCIATE_AC, fixed, rewritten, implementation.CLASS_UID)


def _answered(context: Context, proposed: Sequence[str]) -> Context:
    """Return the answer to a context, which is accepted only in a transfer syntax that was proposed."""
    if context.result != associate.ACCEPTED:
        known = context.result in range(1, associate.NO_TRANSFER_SYNTAX + 1)
        return replace(context, result=context.result if known else associate.NO_REASON)
    stated = context.transfer_syntaxes or (tuple(proposed) if len(proposed) == 1 else ())
    common = tuple(uid for uid in stated if uid in proposed)[:1]
    return replace(context, transfer_syntaxes=common, result=context.result if common else associate.NO_TRANSFER_SYNTAX)


def _rewrite_rejection(pdu: bytes) -> bytes:
    """Return the A-ASSOCIATE-RJ with a result, source and reason of PS3.8 Table 9-21."""
    result, source, reason = (pdu[6:10].ljust(4, b"\0"))[1:]
    if reason not in _REASONS.get(source, ()):
        source, reason = _NO_REASON
    return struct.pack(">BBIBBBB", ASSOCIATE_RJ, 0, 4, 0, result if result in (1, 2) else 2, source, reason)


def _rewrite_abort(pdu: bytes) -> bytes:
    """Return the PDU; clear source and reason of an A-ABORT, which peers set to any bytes."""
    return struct.pack(">BBII", ABORT, 0, 4, 0) if pdu[0] == ABORT else pdu
