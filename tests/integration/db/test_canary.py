"""Canaries on both databases: their rows, their comparison by algorithm, and the deletion of their studies."""

from datetime import timedelta

from glam_node.node.db import audit, canary, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.canary import AE_TITLE, CanaryRun, CanaryState, Observation
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import JobState
from tests.builders import NOW, sop_instance

SEEN = Observation("GLAM 1", {"L CC": {"malignant": 0.5}}, ("L CC malignant",))


def passed(sessions: SessionFactory, seen: Observation, days: int = 0) -> CanaryRun:
    """Return a canary that passed."""
    at = NOW + timedelta(days=days)
    with sessions.begin() as session:
        run = canary.request(session, at, scheduled=True)
        assert canary.begin_sending(session, run, "code")
        canary.finish(session, canary.get(session, run.run_id) or run, CanaryState.PASSED, at, observation=seen)
    with sessions() as session:
        found = canary.get(session, run.run_id)
        assert found is not None
        return found


def test_the_first_canary_of_an_algorithm_is_found_and_kept(sessions: SessionFactory) -> None:
    first = passed(sessions, SEEN)
    second = passed(sessions, SEEN, days=1)
    other = passed(sessions, Observation("GLAM 2"), days=2)
    last = passed(sessions, SEEN, days=3)
    with sessions.begin() as session:
        assert canary.first_passed(session, "GLAM 1") == first
        assert canary.first_passed(session, "GLAM 3") is None
        assert canary.counts(session) == {CanaryState.PASSED: 4, CanaryState.FAILED: 0}
        canary.forget(session, NOW + timedelta(days=100), timedelta(days=90))
        kept = [canary.get(session, run.run_id) is not None for run in (first, second, other, last)]
    assert kept == [True, False, True, True]


def test_the_study_of_a_canary_counts_nowhere_and_is_deleted_without_its_events(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        run = canary.request(session, NOW, scheduled=False)
        canary.begin_sending(session, run, "code")
        instance = sop_instance(study_instance_uid=run.study_instance_uid, calling_ae_title=AE_TITLE)
        studies.add_instance(session, instance, StudyAttributes(patient_id="CANARY"))
        jobs.add(session, run.study_instance_uid, [instance.sop_instance_uid], "digest", NOW)
        audit.record(session, EventKind.JOB_FAILED, NOW, study_instance_uid=run.study_instance_uid)
        audit.record(session, EventKind.JOB_FAILED, NOW, study_instance_uid="1.2.3")
    with sessions() as session:
        assert canary.admitted_study(session, "code") == run.study_instance_uid
        assert canary.admitted_study(session, "another") == canary.admitted_study(session, "") == ""
        assert (studies.counts_by_state(session), jobs.counts_by_state(session)) == ({}, {})
        assert studies.last_received_at(session) is None
        assert audit.counts(session, [EventKind.JOB_FAILED]) == {EventKind.JOB_FAILED: 1}
        assert [event.study_instance_uid for event in audit.recent(session, EventKind.JOB_FAILED, 5)] == ["1.2.3"]
        (job,) = jobs.of_study(session, run.study_instance_uid)
        assert job.state is JobState.PENDING
        assert not canary.others_images(session, run)
    with sessions.begin() as session:
        assert canary.delete_study(session, run, "a remark") == [job.job_id]
    with sessions() as session:
        assert studies.get(session, run.study_instance_uid) is None
        assert deliveries.of_study(session, run.study_instance_uid) == []
        assert len(audit.timeline(session, run.study_instance_uid)) == 1
        found = canary.get(session, run.run_id)
        assert found is not None
        assert found.remark == "a remark"
