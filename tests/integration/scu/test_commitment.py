"""Requests for storage commitment to a real SCP, which answers at once, later, in part, or not at all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from glam_node.node.domain.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, CommitmentReply, Failure, Reference
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.commitment import request_commitment, send_report
from glam_node.node.workflow.deliver.commitment_data_sets import report_data_set, reported, requested
from tests.integration.archive import Archive
from tests.integration.scu.conftest import peer_at
from tests.ports import free_port

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
ONE, TWO = Reference(SEG, "2.25.11"), Reference(SEG, "2.25.12")

Answer = Callable[[str, list[Reference]], CommitmentReply | None]


class Archivist:
    """An SCP that answers requests with `status` and sends its replies on the association of the request."""

    def __init__(self, status: int = 0x0000, answer: Answer = lambda _uid, _asked: None) -> None:
        self._status, self._answer = status, answer
        self.asked: list[str] = []
        """Transaction UIDs of the requests."""
        self.heard: list[CommitmentReply] = []
        """Replies that peers sent to it."""
        self.statuses: list[int] = []
        """Statuses of the acknowledgements of its replies."""
        self.reporting: list[threading.Thread] = []

    def take_request(self, event: Event) -> tuple[int, None]:
        uid, references = requested(event.action_information)
        self.asked.append(uid)
        report = self._answer(uid, references)
        if report is not None:
            thread = threading.Thread(target=self._report, args=(event, report))
            self.reporting.append(thread)
            thread.start()
        return self._status, None

    def take_report(self, event: Event) -> tuple[int, None]:
        self.heard.append(reported(event.event_information))
        return self._status, None

    def _report(self, event: Event, report: CommitmentReply) -> None:
        status, _ = event.assoc.send_n_event_report(
            report_data_set(report), report.event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE
        )
        self.statuses.append(int(status.Status))


@contextmanager
def listening(archivist: Archivist) -> Iterator[int]:
    ae = AE("ARCHIVE")
    ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    port = free_port()
    handlers: list[Any] = [(evt.EVT_N_ACTION, archivist.take_request), (evt.EVT_N_EVENT_REPORT, archivist.take_report)]
    server = cast(ThreadedAssociationServer, ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers))
    try:
        yield port
        for thread in archivist.reporting:
            thread.join()
    finally:
        server.shutdown()


def in_part(uid: str, asked: list[Reference]) -> CommitmentReply:
    """Return the reply that the first object is committed and the second is not."""
    return CommitmentReply(uid, asked[:1], [Failure(asked[1], 0x0112)])


def test_a_report_on_the_association_of_the_request_is_read_object_by_object() -> None:
    heard: list[CommitmentReply] = []
    archivist = Archivist(answer=in_part)
    with listening(archivist) as port:
        request_commitment(peer_at(port), "2.25.5", [ONE, TWO], heard.append)
    assert archivist.asked == ["2.25.5"]
    assert heard == [CommitmentReply("2.25.5", [ONE], [Failure(TWO, 0x0112)])]
    assert archivist.statuses == [0x0000]


def test_a_report_that_cannot_be_recorded_is_answered_with_a_failure() -> None:
    def refuse(_report: CommitmentReply) -> None:
        raise TransientError("the database is away")

    archivist = Archivist(answer=in_part)
    with listening(archivist) as port:
        request_commitment(peer_at(port), "2.25.5", [ONE, TWO], refuse)
    assert archivist.statuses == [0x0110]


def test_an_archive_that_answers_later_has_the_request() -> None:
    heard: list[CommitmentReply] = []
    archivist = Archivist()
    with listening(archivist) as port:
        request_commitment(peer_at(port), "2.25.5", [ONE], heard.append)
    assert (archivist.asked, heard) == (["2.25.5"], [])


def test_a_request_that_is_refused_is_named_with_its_status() -> None:
    with listening(Archivist(status=0x0110)) as port, pytest.raises(PermanentError, match="0x0110 to N-ACTION"):
        request_commitment(peer_at(port), "2.25.5", [ONE], lambda _report: None)


def test_an_archive_without_storage_commitment_is_named_with_the_setting(archive: Archive) -> None:
    with pytest.raises(PermanentError, match=r"destinations\.archive\.storage_commitment = false"):
        request_commitment(peer_at(archive.port), "2.25.5", [ONE], lambda _report: None)


def test_the_reply_to_a_peer_is_sent_on_a_new_association_object_by_object() -> None:
    report = CommitmentReply("2.25.6", [ONE], [Failure(TWO, 0x0112)])
    archivist = Archivist()
    with listening(archivist) as port:
        send_report(peer_at(port), report)
    assert archivist.heard == [report]


def test_a_peer_that_rejects_the_reply_is_named_with_its_status() -> None:
    with listening(Archivist(status=0x0110)) as port, pytest.raises(PermanentError, match="0x0110 to N-EVENT-REPORT"):
        send_report(peer_at(port), CommitmentReply("2.25.6", [ONE], []))
