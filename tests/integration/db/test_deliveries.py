"""Tests of deliveries, on both databases: queued once, sent by one sender at a time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import Priority
from tests.builders import COMPREHENSIVE_3D_SR, NOW, STUDY_UID, after, delivery, sop_instance
from tests.integration.db import contenders


@pytest.fixture(autouse=True)
def job_id(sessions: SessionFactory) -> str:
    with sessions.begin() as session:
        studies.add_instance(session, sop_instance("R CC"), StudyAttributes())
        return jobs.add(session, STUDY_UID, ["2.25.1"], "digest", NOW).job_id


def add(sessions: SessionFactory, job_id: str, *queued: Delivery) -> list[Delivery]:
    with sessions.begin() as session:
        return deliveries.add_missing(session, [replace(one, job_id=job_id) for one in queued])


def claim(sessions: SessionFactory, seconds: float = 0, destination: str = "archive") -> list[Delivery]:
    with sessions.begin() as session:
        return deliveries.claim_due(session, destination, now=after(seconds), until=after(seconds + 60), limit=10)


def stored(sessions: SessionFactory) -> list[Delivery]:
    with sessions() as session:
        return deliveries.of_study(session, STUDY_UID)


def test_an_object_that_is_published_again_is_not_queued_again(sessions: SessionFactory, job_id: str) -> None:
    first = delivery()
    assert len(add(sessions, job_id, first)) == 1
    assert add(sessions, job_id, replace(first, delivery_id="again"), replace(first, delivery_id="and again")) == []
    assert [one.delivery_id for one in stored(sessions)] == [first.delivery_id]


def test_an_object_is_queued_for_every_destination(sessions: SessionFactory, job_id: str) -> None:
    first = delivery()
    add(sessions, job_id, first, replace(first, delivery_id="other", destination="workstation"))
    assert len(claim(sessions, destination="workstation")) == 1


def test_no_delivery_is_queued_without_objects(sessions: SessionFactory, job_id: str) -> None:
    assert add(sessions, job_id) == []


def test_a_delivery_is_returned_as_it_was_added(sessions: SessionFactory, job_id: str) -> None:
    first = delivery()
    add(sessions, job_id, first)
    assert stored(sessions) == [replace(first, job_id=job_id)]


def test_a_claimed_delivery_cannot_be_claimed_until_the_claim_ends(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    assert [one.attempt for one in claim(sessions)] == [1]
    assert claim(sessions, 59) == []
    assert [one.attempt for one in claim(sessions, 60)] == [2]


def test_a_claim_can_be_extended(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    mine = claim(sessions)
    with sessions.begin() as session:
        deliveries.extend_claims(session, mine, after(100))
    assert claim(sessions, 99) == []


def test_segmentations_are_claimed_before_the_report_that_refers_to_them(sessions: SessionFactory, job_id: str) -> None:
    report, segmentation = delivery(sop_class_uid=COMPREHENSIVE_3D_SR), delivery()
    older_report = delivery(sop_class_uid=COMPREHENSIVE_3D_SR, created_at=after(-1))
    add(sessions, job_id, report, segmentation, older_report)
    assert [one.delivery_id for one in claim(sessions)] == [
        one.delivery_id for one in (older_report, segmentation, report)
    ]


def test_urgent_results_are_claimed_before_older_ones(sessions: SessionFactory, job_id: str) -> None:
    older = [delivery(created_at=after(-number)) for number in (3, 2)]
    urgent = delivery(priority=Priority.URGENT)
    add(sessions, job_id, *older, urgent)
    assert [one.delivery_id for one in claim(sessions)] == [one.delivery_id for one in (urgent, *older)]


def test_a_stored_delivery_is_not_sent_again(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    (mine,) = claim(sessions)
    with sessions.begin() as session:
        assert deliveries.mark_stored(session, mine, after(1))
        assert not deliveries.mark_stored(session, mine, after(2))
    assert claim(sessions, 3600) == []
    assert [(one.state, one.stored_at) for one in stored(sessions)] == [(DeliveryState.STORED, after(1))]


def test_a_postponed_delivery_is_due_at_its_time_and_states_the_failure(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    (mine,) = claim(sessions)
    with sessions.begin() as session:
        assert deliveries.postpone(session, mine, after(10), "archive down")
    assert stored(sessions)[0].failure == "archive down"
    assert claim(sessions, 9) == []
    assert len(claim(sessions, 10)) == 1


def test_an_abandoned_delivery_waits_for_a_person(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    (mine,) = claim(sessions)
    with sessions.begin() as session:
        assert deliveries.abandon(session, mine, "SOP class not supported")
    assert claim(sessions, 9999) == []
    with sessions.begin() as session:
        assert deliveries.retry(session, "archive", now=after(9999), later_than=after(9999), given_up=True) == 1
    assert [one.attempt for one in claim(sessions, 9999)] == [1]


def test_a_retry_skips_the_delay_and_does_not_disturb_a_sender(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    (mine,) = claim(sessions)
    with sessions.begin() as session:
        assert deliveries.retry(session, "archive", now=NOW, later_than=after(60)) == 0
        deliveries.postpone(session, mine, after(900), "archive down")
        assert deliveries.retry(session, "archive", now=NOW, later_than=after(60)) == 1


def test_a_sender_that_lost_its_claim_can_only_mark_the_delivery_stored(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery())
    (late,) = claim(sessions)
    claim(sessions, 60)
    with sessions.begin() as session:
        assert not deliveries.postpone(session, late, after(600), "late")
        assert not deliveries.abandon(session, late, "late")
        assert deliveries.mark_stored(session, late, after(61))


def test_deliveries_are_counted_by_destination_and_state(sessions: SessionFactory, job_id: str) -> None:
    add(sessions, job_id, delivery(), delivery(), delivery(destination="workstation"))
    with sessions() as session:
        assert deliveries.counts(session) == {
            ("archive", DeliveryState.PENDING): 2,
            ("workstation", DeliveryState.PENDING): 1,
        }


def test_each_delivery_is_claimed_by_one_of_several_senders(sessions: SessionFactory, url: str, job_id: str) -> None:
    queued = [delivery() for _ in range(60)]
    add(sessions, job_id, *queued)
    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(contenders.claim_deliveries, [url] * 4, ["archive"] * 4))
    assert sorted(one for wins in won for one in wins) == sorted(one.delivery_id for one in queued)


def test_a_destination_that_is_back_makes_results_due_except_those_just_sent(
    sessions: SessionFactory, job_id: str
) -> None:
    late = {"next_attempt_at": after(600), "attempt": 2}
    just_sent, waiting = delivery(alone=True, **late), delivery(alone=True, **late)
    others = [
        delivery(next_attempt_at=after(15), attempt=2),
        delivery(next_attempt_at=after(600), attempt=4),
        delivery(destination="workstation", **late),
        delivery(state=DeliveryState.ABANDONED, **late),
    ]
    add(sessions, job_id, just_sent, waiting, *others)
    with sessions.begin() as session:
        due = deliveries.make_due(session, "archive", NOW, [just_sent], later_than=after(15), failed_at_most=3)
    assert due == 1
    kept = {one.delivery_id: replace(one, job_id=job_id) for one in (just_sent, *others)}
    made_due = replace(waiting, job_id=job_id, next_attempt_at=NOW, alone=False)
    assert {one.delivery_id: one for one in stored(sessions)} == kept | {waiting.delivery_id: made_due}


def test_destinations_are_due_from_the_time_of_an_attempt_until_it_is_claimed(
    sessions: SessionFactory, job_id: str
) -> None:
    def due(seconds: float) -> list[str]:
        with sessions() as session:
            return deliveries.destinations_due(session, ["archive", "other"], after(seconds))

    add(sessions, job_id, replace(delivery(), next_attempt_at=after(10)))
    assert (due(9), due(10)) == ([], ["archive"])
    assert claim(sessions, 10)
    assert due(11) == []
