"""Delivery: each result reaches its destination once."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from pydicom.dataset import Dataset

from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.workflow.deliver import send_results
from tests.builders import COMPREHENSIVE_3D_SR, SEGMENTATION
from tests.unit.workflow.workbench import BOTH, RETRY_DELIVERIES, Archive, Workbench, down, unsupported


@pytest.fixture
def reported(bench: Workbench, exam: list[Dataset]) -> Workbench:
    """Return a node with a segmentation and a report that wait."""
    bench.run(bench.submitted(exam[1]))
    return bench


def states(bench: Workbench) -> list[DeliveryState]:
    return [delivery.state for delivery in bench.deliveries()]


def no_segmentations(instance: OutgoingInstance) -> StoreOutcome | None:
    return unsupported(instance) if instance.sop_class_uid == SEGMENTATION else None


def test_due_results_go_in_one_association_with_the_report_last(reported: Workbench) -> None:
    archive = Archive()
    assert reported.deliver(archive) == 2
    assert archive.associations == 1
    assert [delivery.sop_class_uid for delivery in reported.deliveries()] == [SEGMENTATION, COMPREHENSIVE_3D_SR]
    assert archive.received == [delivery.sop_instance_uid for delivery in reported.deliveries()]


def test_stored_results_are_not_sent_again(reported: Workbench) -> None:
    archive = Archive()
    reported.deliver(archive)
    reported.clock.turn(3600)
    assert reported.deliver(archive) == 0
    assert (archive.associations, states(reported)) == (1, [DeliveryState.STORED] * 2)


def test_a_destination_without_due_results_gets_no_association(bench: Workbench) -> None:
    archive = Archive()
    assert (bench.deliver(archive), archive.associations) == (0, 0)


def test_an_archive_that_is_down_is_tried_later_and_loses_nothing(reported: Workbench) -> None:
    archive = Archive(answer=down)
    assert [reported.deliver(archive), reported.deliver(archive)] == [0, 0]
    assert archive.associations == 1
    assert {delivery.failure for delivery in reported.deliveries()} == {"ARCHIVE does not answer."}
    reported.clock.turn(5)
    assert reported.deliver(Archive()) == 2


def test_results_for_an_archive_that_stays_down_have_one_event_and_are_abandoned_in_the_end(
    reported: Workbench,
) -> None:
    archive = Archive(answer=down)
    for _ in range(8):
        reported.deliver(archive)
        reported.clock.turn(3600)
    assert (archive.associations, states(reported)) == (4, [DeliveryState.ABANDONED] * 2)
    assert reported.events()[5:] == ["job_succeeded", *["result_failed"] * 2, *["delivery_abandoned"] * 2]


def test_a_result_refused_for_good_is_abandoned_at_once_and_harms_no_other(reported: Workbench) -> None:
    reported.deliver(Archive(answer=no_segmentations))
    segmentation, report = reported.deliveries()
    assert (segmentation.state, segmentation.failure) == (
        DeliveryState.ABANDONED,
        "ARCHIVE does not take the SOP class.",
    )
    assert report.state is DeliveryState.STORED


def test_a_failing_sender_does_not_retry_forever(reported: Workbench) -> None:
    def broken(_instance: OutgoingInstance) -> StoreOutcome:
        raise RuntimeError("PHANTOM^JANE")

    assert reported.deliver(Archive(answer=broken)) == 0
    failure = reported.deliveries()[0].failure
    assert failure.startswith("Sending to archive failed: RuntimeError at test_send_results.py")
    assert "JANE" not in failure


def test_two_senders_at_once_send_everything_once(reported: Workbench) -> None:
    second = Archive()

    def interrupted(_instance: OutgoingInstance) -> None:
        reported.deliver(second)

    first = Archive(answer=interrupted)
    assert reported.deliver(first) == 2
    assert second.received == []


def test_a_claim_is_held_while_a_slow_archive_takes_its_time(
    reported: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_results, "CLAIM_TIME", timedelta(seconds=4))
    second = Archive()

    def slow(instance: OutgoingInstance) -> None:
        time.sleep(5 if instance.sop_class_uid == SEGMENTATION else 0)
        send_results.deliver_due(
            reported.sessions, reported.store, {"archive": second}, RETRY_DELIVERIES, real_time, {}
        )

    def real_time() -> datetime:
        return datetime.now(UTC)

    first = {"archive": Archive(answer=slow)}
    assert send_results.deliver_due(reported.sessions, reported.store, first, RETRY_DELIVERIES, real_time, {}) == 2
    assert second.received == []


def test_an_archive_gets_only_its_own_results(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ("measurement_report",), "workstation": BOTH}
    bench.run(bench.submitted(exam[1]))
    assert (bench.deliver(Archive("archive")), bench.deliver(Archive("workstation"))) == (1, 2)
