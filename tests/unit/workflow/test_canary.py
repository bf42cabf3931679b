"""Canaries on a node without processes: their states, verdicts and removal, and the statistics that leave them out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select, update

from glam_node import __version__
from glam_node.inference.canary_exam import LESIONS_FILE
from glam_node.node.db import audit, backlog, canary, deliveries, jobs, studies
from glam_node.node.db.tables import CanaryRow, InstanceRow
from glam_node.node.domain.canary import AE_TITLE, CanaryRun, CanaryState, Observation, deviations
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.operate.canary import NOT_ITS_OWN, Canaries, CanaryPolicy
from tests.unit.workflow import workbench
from tests.unit.workflow.workbench import Workbench

POLICY = CanaryPolicy(timedelta(hours=1), timedelta(minutes=30), 0.05, "ISSUER")


class Field:
    """The canaries of a workbench: what is sent arrives, or the port answers as `answer` says."""

    def __init__(self, bench: Workbench, policy: CanaryPolicy = POLICY) -> None:
        self.bench, self.policy = bench, policy
        self.answer: StoreOutcome | None = None
        self.canaries = self.started()

    def started(self) -> Canaries:
        """Return the canaries of a dispatcher that has just started."""
        return Canaries(self.bench.sessions, self.bench.store, self.policy, self.send, lambda _progress: "")

    def send(self, images: Sequence[OutgoingInstance], pass_code: str) -> list[StoreOutcome]:
        if self.answer is not None:
            return [self.answer]
        with self.bench.sessions() as session:
            assert canary.admitted_study(session, pass_code)
        self.bench.receive(*(pydicom.dcmread(one.path) for one in images), calling_ae_title=AE_TITLE)
        return [StoreOutcome(one.sop_instance_uid, True, 0, False, "") for one in images]

    def steps(self, number: int = 1) -> CanaryRun | None:
        """Take steps, and return the unfinished canary, or the last with a verdict."""
        for _ in range(number):
            self.canaries.step(self.bench.clock())
        with self.bench.sessions() as session:
            return canary.unfinished(session) or canary.last_judged(session)

    def analyse(self) -> None:
        """Let the dispatcher and a worker do their part."""
        self.bench.clock.turn(workbench.ASSEMBLY.settle_time_s)
        for job in self.bench.dispatch():
            self.bench.run(job)


@pytest.fixture
def field(bench: Workbench, exam: list[Dataset]) -> Field:
    bench.destinations = {"archive": ("measurement_report",)}
    folder = bench.store.root / "canary"
    folder.mkdir()
    for view in exam:
        view.save_as(folder / f"{view.ImageLaterality}-{view.ViewPosition}.dcm", enforce_file_format=True)
    lesions = {"L CC malignant": [0, 0, 64, 48], "L MLO malignant": [0, 0, 64, 48]}
    (folder / LESIONS_FILE).write_text(json.dumps({"version": __version__, "lesions": lesions}))
    return Field(bench)


def files_about(root: Path, uid: str) -> list[Path]:
    return [path for path in root.rglob("*") if uid in path.name]


def passed(field: Field) -> CanaryRun:
    """Send a canary, and return it with its verdict."""
    field.steps(2)
    field.analyse()
    run = field.steps()
    assert run is not None
    assert (run.state, run.failure) == (CanaryState.PASSED, "")
    return run


def test_a_canary_is_due_at_once_and_then_after_every(field: Field) -> None:
    run = passed(field)
    assert run.seconds is not None
    assert run.observation.lesions == ("L CC malignant", "L MLO malignant")
    uid = run.study_instance_uid
    assert files_about(field.bench.store.root, uid)
    field.steps()
    assert files_about(field.bench.store.root, uid) == []
    with field.bench.sessions() as session:
        assert studies.get(session, uid) is None
        assert [event.kind for event in audit.timeline(session, uid)]
    after = field.steps(3)
    assert after is not None
    assert after.run_id == run.run_id
    field.bench.clock.turn(3600)
    later = field.steps()
    assert later is not None
    assert (later.state, later.run_id) == (CanaryState.REQUESTED, run.run_id + 1)


def test_a_canary_has_a_study_until_its_last_file_is_gone(field: Field) -> None:
    run = passed(field)
    with field.bench.sessions() as session:
        image = session.scalars(select(InstanceRow.sop_instance_uid).order_by(InstanceRow.sop_instance_uid)).first()
    obstacle = field.bench.store.root / "conflicts" / f"{image}-1.dcm"
    obstacle.mkdir(parents=True)
    with pytest.raises(OSError, match="conflicts"):
        field.steps()
    with field.bench.sessions() as session:
        (kept,) = canary.kept(session)
        assert studies.get(session, run.study_instance_uid) is None
    assert kept.run_id == run.run_id
    obstacle.rmdir()
    after = field.steps()
    assert after is not None
    assert not after.present
    assert files_about(field.bench.store.root, run.study_instance_uid) == []


def test_a_study_of_a_canary_with_images_of_another_sender_is_kept_and_counted(field: Field) -> None:
    run = passed(field)
    uid = run.study_instance_uid
    with field.bench.sessions.begin() as session:
        one = select(InstanceRow.sop_instance_uid).where(InstanceRow.study_instance_uid == uid).limit(1)
        others = update(InstanceRow).where(InstanceRow.sop_instance_uid == one.scalar_subquery())
        session.execute(others.values(calling_ae_title="MODALITY"))
    after = field.steps(2)
    assert after is not None
    assert after.remark == NOT_ITS_OWN
    assert files_about(field.bench.store.root, uid)
    with field.bench.sessions() as session:
        assert studies.counts_by_state(session) == {StudyState.REPORTED: 1}


def test_a_canary_goes_only_to_its_own_destinations_whatever_the_rules_say(field: Field) -> None:
    field.steps(2)
    field.analyse()
    with field.bench.sessions() as session:
        run = canary.unfinished(session)
        assert run is not None
        (job,) = jobs.of_study(session, run.study_instance_uid)
        assert job.routing.destinations == ()
        assert deliveries.of_study(session, run.study_instance_uid) == []


def test_no_statistic_of_patients_includes_a_canary(field: Field) -> None:
    field.steps(2)
    field.bench.clock.turn(workbench.ASSEMBLY.settle_time_s)
    (job,) = field.bench.dispatch()
    with field.bench.sessions() as session:
        assert studies.counts_by_state(session) == {}
        assert jobs.counts_by_state(session) == {}
        assert studies.last_received_at(session) is None
        assert backlog.oldest_unfinished_job(session) is backlog.longest_due_job(session) is None
    field.bench.run(job)
    field.steps(2)
    with field.bench.sessions() as session:
        assert audit.recent(session, EventKind.JOB_SUCCEEDED, 10) == []
        assert audit.counts(session, [EventKind.JOB_SUCCEEDED]) == {EventKind.JOB_SUCCEEDED: 0}


def test_a_refusal_that_may_end_is_tried_again_until_the_limit(field: Field) -> None:
    field.answer = StoreOutcome("1", False, 0xA700, True, "the disk is full")
    run = field.steps(2)
    assert run is not None
    refusal = "The node's own port answered 0xA700 to the C-STORE of an image. `glam-node status` lists refused"
    assert (run.state, run.failure.startswith(refusal)) == (CanaryState.REQUESTED, True)
    field.bench.clock.turn(POLICY.limit.total_seconds())
    run = field.steps()
    assert run is not None
    assert (run.state, run.failure.startswith(refusal), run.present) == (CanaryState.FAILED, True, False)


def test_a_refusal_that_does_not_end_fails_at_once(field: Field) -> None:
    field.answer = StoreOutcome("1", False, None, False, "not authorized")
    run = field.steps(2)
    assert run is not None
    assert (run.state, run.failure) == (CanaryState.FAILED, "not authorized")


def test_a_canary_without_results_fails_after_the_limit_and_stays_until_the_next(field: Field) -> None:
    field.steps(2)
    field.bench.clock.turn(POLICY.limit.total_seconds() + 1)
    run = field.steps()
    assert run is not None
    assert run.state is CanaryState.FAILED
    assert run.failure.startswith("No result within 1800 s (canary.limit): 4 images arrived")
    field.steps(3)
    assert files_about(field.bench.store.root, run.study_instance_uid)
    field.bench.clock.turn(3600)
    field.steps(2)
    assert files_about(field.bench.store.root, run.study_instance_uid) == []


def test_a_restart_goes_on_with_a_canary_that_was_sent_and_gives_it_its_time_again(field: Field) -> None:
    sent = field.steps(2)
    assert sent is not None
    field.bench.clock.turn(2 * POLICY.limit.total_seconds())
    field.canaries = field.started()
    waiting = field.steps()
    assert waiting is not None
    assert waiting.state is CanaryState.WAITING
    field.analyse()
    judged = field.steps()
    assert judged is not None
    assert (judged.state, judged.run_id) == (CanaryState.PASSED, sent.run_id)


def test_a_canary_whose_sending_was_cut_off_ends_without_a_verdict_and_another_follows(field: Field) -> None:
    first = field.steps()
    assert first is not None
    with field.bench.sessions.begin() as session:
        canary.begin_sending(session, first, "code")
    field.canaries = field.started()
    field.steps(2)
    with field.bench.sessions() as session:
        interrupted = canary.get(session, first.run_id)
        assert interrupted is not None
        assert (interrupted.state, interrupted.present) == (CanaryState.INTERRUPTED, False)
        assert canary.last_judged(session) is None
    following = field.steps()
    assert following is not None
    assert following.run_id == first.run_id + 1


def test_two_requests_are_one_canary(field: Field) -> None:
    with field.bench.sessions.begin() as session:
        one = canary.request(session, field.bench.clock(), scheduled=False)
        other = canary.request(session, field.bench.clock(), scheduled=True)
    assert one == other


def test_results_unlike_those_of_the_first_canary_are_a_failure(field: Field) -> None:
    first = passed(field)
    changed = {view: dict.fromkeys(scores, 0.9) for view, scores in first.observation.scores.items()}
    with field.bench.sessions.begin() as session:
        row = session.get_one(CanaryRow, first.run_id)
        row.observation = {**row.observation, "scores": changed}
    field.bench.clock.turn(3600)
    field.steps(3)
    field.analyse()
    run = field.steps()
    assert run is not None
    assert run.state is CanaryState.FAILED
    assert "The results are not those of the first canary with this package: the benign score of L CC is" in run.failure


def test_a_model_that_is_known_to_outline_every_lesion_must_do_so_from_the_first(field: Field) -> None:
    field.policy = replace(POLICY, finds_lesions=True)
    field.canaries = field.started()
    folder = field.bench.store.root / "canary" / LESIONS_FILE
    stated = json.loads(folder.read_text())
    stated["lesions"]["R CC benign"] = [0, 0, 1, 1]
    folder.write_text(json.dumps(stated))
    field.steps(2)
    field.analyse()
    run = field.steps()
    assert run is not None
    assert "does not outline the lesions R CC benign" in run.failure


def test_old_canaries_are_forgotten_except_those_that_later_ones_are_compared_with(field: Field) -> None:
    first = passed(field)
    field.bench.clock.turn(timedelta(days=100).total_seconds())
    field.steps(4)
    field.analyse()
    second = field.steps(2)
    assert second is not None
    field.bench.clock.turn(timedelta(days=100).total_seconds())
    with field.bench.sessions.begin() as session:
        canary.forget(session, field.bench.clock(), timedelta(days=90))
        assert canary.get(session, first.run_id) is not None
        assert canary.last_passed(session) is not None


SEEN = Observation("GLAM 1", {"L CC": {"benign": 0.1, "malignant": 0.8}}, ("L CC malignant",))


@pytest.mark.parametrize(
    ("now", "differences"),
    [
        (SEEN, []),
        (replace(SEEN, scores={"L CC": {"benign": 0.149, "malignant": 0.8}}), []),
        (
            replace(SEEN, scores={"L CC": {"benign": 0.151, "malignant": 0.8}}),
            ["the benign score of L CC is 0.151, and was 0.100"],
        ),
        (replace(SEEN, scores={}), ["L CC has no benign score", "L CC has no malignant score"]),
        (replace(SEEN, lesions=()), ["the lesion L CC malignant is no longer outlined"]),
        (replace(SEEN, algorithm="GLAM 2", scores={}, lesions=()), []),
    ],
)
def test_only_larger_differences_from_the_same_algorithm_count(now: Observation, differences: list[str]) -> None:
    assert list(deviations(now, SEEN, 0.05)) == differences
