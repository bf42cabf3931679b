"""Storage commitment on associations that we open: our requests, and our answers to those of peers (PS3.4 Annex J)."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from glam_node.node.domain.commitment import (
    PROCESSING_FAILURE,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    Reference,
    Report,
)
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.scu.association import Peer, SOPClassRefused, associated, lost
from glam_node.node.workflow.commitment_data_sets import report_data_set, reported, request_data_set

SAME_ASSOCIATION_S = 2.0
"""Some archives answer on the association of the request, at once: so long it is kept open for them."""
ANSWER_S = 30.0
"""The longest that a report is put on record and answered."""

Heard = Callable[[Report], None]


def request_commitment(peer: Peer, transaction_uid: str, references: Sequence[Reference], heard: Heard) -> None:
    """`peer` has the request; when it answers on the same association `heard` was called with its report.

    `heard` may raise NodeError, which the peer is told. Raises TransientError when no answer comes, PermanentError
    when the peer takes no such requests, or refuses this one.
    """
    hearing, answered = threading.Event(), threading.Event()

    def hear(event: Event) -> tuple[int, None]:
        hearing.set()
        try:
            heard(reported(event.event_information))
        except NodeError:
            return PROCESSING_FAILURE, None
        return 0x0000, None

    def sent(event: Event) -> None:
        # After the report has come we send nothing but its answer; a release before it would leave the peer without.
        if hearing.is_set() and isinstance(event.pdu, P_DATA_TF):
            answered.set()

    try:
        handlers: list[tuple[evt.EventType, Callable[[Event], Any]]]
        handlers = [(evt.EVT_N_EVENT_REPORT, hear), (evt.EVT_PDU_SENT, sent)]
        with associated(peer, [build_context(PUSH_MODEL)], handlers=handlers) as association:
            data_set = request_data_set(transaction_uid, references)
            try:
                status, _ = association.send_n_action(data_set, REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            except RuntimeError as error:
                raise lost(peer, "N-ACTION", timed_out=False) from error
            _check(peer, "N-ACTION", status)
            if hearing.wait(SAME_ASSOCIATION_S):
                answered.wait(ANSWER_S)
    except SOPClassRefused as error:
        raise PermanentError(
            f"{peer} takes no requests for storage commitment. Allow them to {peer.calling_ae_title} there, or set "
            f"{peer.section}.storage_commitment = false."
        ) from error


def send_report(peer: Peer, report: Report) -> None:
    """`peer` has taken the answer to its request, on an association in which we are the SCP (PS3.7 D.3.3.4).

    Raises TransientError when no answer comes, PermanentError when it does not take it.
    """
    role = build_role(PUSH_MODEL, scp_role=True)
    with associated(peer, [build_context(PUSH_MODEL)], roles=[role]) as association:
        try:
            status, _ = association.send_n_event_report(
                report_data_set(report), report.event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
        except RuntimeError as error:
            raise lost(peer, "N-EVENT-REPORT", timed_out=False) from error
        _check(peer, "N-EVENT-REPORT", status)


def _check(peer: Peer, asked: str, answer: Dataset) -> None:
    if "Status" not in answer:
        raise lost(peer, asked, timed_out=True)
    if answer.Status != 0x0000:
        raise PermanentError(
            f"{peer} answered 0x{answer.Status:04X} to {asked} (storage commitment). Look into the log of the archive.",
            status=answer.Status,
        )
