"""Storage commitment on associations that the node opens: requests, and replies to those of peers (PS3.4 Annex J)."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from glam_node.node.domain.commitment import (
    PROCESSING_FAILURE,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    CommitmentReply,
    Reference,
)
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.scu.association import RemoteAE, SOPClassRefused, lost_association, open_association
from glam_node.node.workflow.deliver.commitment_data_sets import report_data_set, reported, request_data_set

SAME_ASSOCIATION_S = 2.0
"""Seconds that the association of a request stays open, since some archives answer on it at once."""
ANSWER_S = 30.0
"""Maximum number of seconds for recording and acknowledging a reply."""

ReplyHandler = Callable[[CommitmentReply], None]


def request_commitment(
    peer: RemoteAE, transaction_uid: str, references: Sequence[Reference], on_reply: ReplyHandler
) -> None:
    """Send a request for storage commitment, and handle a reply that arrives on the same association.

    Args:
        peer: The archive.
        transaction_uid: The Transaction UID of the request.
        references: The objects that the archive is to commit.
        on_reply: The function that records a reply. If it raises NodeError, the node answers the peer with a
            processing failure.

    Raises:
        TransientError: The peer gave no answer to the request.
        PermanentError: The peer accepts no such requests, or refuses this one.
    """
    replied, answered = threading.Event(), threading.Event()

    def receive_reply(event: Event) -> tuple[int, None]:
        replied.set()
        try:
            on_reply(reported(event.event_information))
        except NodeError:
            return PROCESSING_FAILURE, None
        return 0x0000, None

    def sent(event: Event) -> None:
        # The node sends nothing but the acknowledgement after the reply. If it released the association before, the
        # peer would get no acknowledgement.
        if replied.is_set() and isinstance(event.pdu, P_DATA_TF):
            answered.set()

    try:
        handlers: list[tuple[evt.EventType, Callable[[Event], Any]]]
        handlers = [(evt.EVT_N_EVENT_REPORT, receive_reply), (evt.EVT_PDU_SENT, sent)]
        with open_association(peer, [build_context(PUSH_MODEL)], handlers=handlers) as association:
            data_set = request_data_set(transaction_uid, references)
            try:
                status, _ = association.send_n_action(data_set, REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            except RuntimeError as error:
                raise lost_association(peer, "N-ACTION", association) from error
            _check(peer, "N-ACTION", association, status)
            if replied.wait(SAME_ASSOCIATION_S):
                answered.wait(ANSWER_S)
    except SOPClassRefused as error:
        raise PermanentError(
            f"{peer} accepts no requests for storage commitment. Allow them for {peer.calling_ae_title} there, or set "
            f"{peer.section}.storage_commitment = false."
        ) from error


def send_report(peer: RemoteAE, report: CommitmentReply) -> None:
    """Send the reply to a peer's request, on an association in which the node is the SCP (PS3.7 D.3.3.4).

    Raises:
        TransientError: The peer gave no answer.
        PermanentError: The peer does not accept the reply.
    """
    role = build_role(PUSH_MODEL, scp_role=True)
    with open_association(peer, [build_context(PUSH_MODEL)], roles=[role]) as association:
        try:
            status, _ = association.send_n_event_report(
                report_data_set(report), report.event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
        except RuntimeError as error:
            raise lost_association(peer, "N-EVENT-REPORT", association) from error
        _check(peer, "N-EVENT-REPORT", association, status)


def _check(peer: RemoteAE, asked: str, association: Association, answer: Dataset) -> None:
    if "Status" not in answer:
        raise lost_association(peer, asked, association)
    if answer.Status != 0x0000:
        raise PermanentError(
            f"{peer} answered 0x{answer.Status:04X} to {asked} (storage commitment). Check the archive's log.",
            status=answer.Status,
        )
