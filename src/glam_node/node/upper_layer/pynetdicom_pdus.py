"""Association PDUs of peers, rewritten for pynetdicom, which fails on many that the standard allows or peers send."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from glam_node.node.domain import implementation
from glam_node.node.upper_layer import associate
from glam_node.node.upper_layer.associate import ASSOCIATE_AC, Associate, Context, MalformedAssociate

ASSOCIATE_RJ, ABORT = 3, 7
LONGEST_SENT = 131_072
"""Maximum length in bytes of a P-DATA-TF to a peer that allows more or states no limit."""
# PS3.8 Table 9-21: reasons of a rejection by its source
_REASONS = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}
_NO_REASON = (1, 1)


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
