"""The run of one job: done once, tried again, or given up with a reason."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select, update

from glam_node.inference.errors import DeviceUnavailable, OutOfMemory
from glam_node.inference.findings import AlgorithmIdentification, ImageFindings
from glam_node.inference.findings_file import read_findings
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import REFERENCE_RUN, RunOptions
from glam_node.inference.package import ModelPackage
from glam_node.inference.phantom import make_exam
from glam_node.inference.predictor import Predictor
from glam_node.node.db import jobs
from glam_node.node.db.changes import mark_changed
from glam_node.node.db.tables import InstanceRow, JobRow
from glam_node.node.domain.job import FailureKind, InferenceJob, JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.findings import findings_path
from tests.unit.workflow import workbench
from tests.unit.workflow.workbench import LEASE_S, RETRY_JOBS, Clock, Workbench


class Watched:
    """A predictor that calls a function before it segments."""

    def __init__(self, predictor: Predictor, before: Callable[[], object]) -> None:
        self._predictor = predictor
        self._before = before
        self.calls = 0
        self.version = predictor.algorithm.algorithm_version

    @property
    def algorithm(self) -> AlgorithmIdentification:
        return replace(self._predictor.algorithm, algorithm_version=self.version)

    @classmethod
    def from_package(cls, package: ModelPackage, device: str, options: RunOptions = REFERENCE_RUN) -> "Watched":
        raise NotImplementedError

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        self.calls += 1
        self._before()
        return self._predictor.segment(mammograms)


class RealTime(Clock):
    """A clock that advances by itself."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def failing(bench: Workbench, error: Exception) -> Watched:
    def fail() -> None:
        raise error

    bench.predictor = watched = Watched(bench.predictor, fail)
    return watched


@pytest.fixture
def job(bench: Workbench, exam: list[Dataset]) -> InferenceJob:
    return bench.submitted(*exam[:2])


def test_a_job_that_is_done_is_succeeded_and_its_study_reported(bench: Workbench, job: InferenceJob) -> None:
    assert bench.run(job)
    done = bench.job()
    assert (done.state, done.attempt, done.algorithm_version) == (JobState.SUCCEEDED, 1, "1")
    assert [stage for stage, _ in done.stage_seconds] == ["read", "segment", "write"]
    assert bench.study().state is StudyState.REPORTED


def test_a_message_that_comes_twice_does_the_work_once(bench: Workbench, job: InferenceJob) -> None:
    bench.predictor = watched = Watched(bench.predictor, lambda: None)
    assert [bench.run(job), bench.run(job)] == [True, False]
    assert watched.calls == 1


def test_a_message_for_an_unknown_job_does_no_harm(bench: Workbench, job: InferenceJob) -> None:
    with bench.sessions.begin() as session:
        jobs.supersede_unfinished(session, job.study_instance_uid, bench.clock())
    assert not bench.run(job)


def test_a_second_worker_leaves_a_running_job_alone(bench: Workbench, job: InferenceJob) -> None:
    second: list[bool] = []
    bench.predictor = Watched(bench.predictor, lambda: second.append(bench.run(job, "second")))
    assert bench.run(job, "first")
    assert second == [False]


def test_a_worker_that_lost_its_lease_queues_nothing(bench: Workbench, job: InferenceJob) -> None:
    def take_over() -> None:
        bench.clock.turn(LEASE_S)
        bench.predictor = quick
        assert bench.run(job, "second")

    quick = bench.predictor
    bench.predictor = Watched(quick, take_over)
    assert not bench.run(job, "first")
    assert (bench.job().lease_owner, bench.job().attempt) == ("second", 2)
    assert bench.events().count("job_succeeded") == 1


def test_a_lease_is_renewed_while_the_work_takes_its_time(
    bench: Workbench, job: InferenceJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_worker_comes_late() -> None:
        time.sleep(1.5)
        second.append(bench.run(job, "second"))

    second: list[bool] = []
    monkeypatch.setattr(workbench, "LEASE_S", 1.0)
    bench.clock = RealTime()
    bench.predictor = Watched(bench.predictor, second_worker_comes_late)
    assert bench.run(job, "first")
    assert second == [False]


def test_a_job_superseded_while_it_runs_queues_nothing(
    bench: Workbench, job: InferenceJob, exam: list[Dataset]
) -> None:
    quick = bench.predictor
    bench.predictor = Watched(quick, lambda: bench.submitted(exam[2]))
    assert not bench.run(job)
    assert bench.deliveries() == []
    assert [one.state for one in bench.jobs()] == [JobState.PENDING, JobState.SUPERSEDED]


def test_a_study_reopened_while_its_job_runs_is_judged_again(
    bench: Workbench, job: InferenceJob, exam: list[Dataset]
) -> None:
    bench.predictor = Watched(bench.predictor, lambda: bench.receive(exam[2]))
    assert bench.run(job)
    assert (bench.job().state, bench.study().state) == (JobState.SUCCEEDED, StudyState.RECEIVING)
    bench.clock.turn(300)
    assert len(bench.dispatch()) == 1


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (OSError(5, "Input/output error", "/disk/x.dcm"), "Input/output error: /disk/x.dcm"),
        (ValueError("PHANTOM^JANE is no number"), "An unexpected error occurred (ValueError)"),
    ],
)
def test_a_failure_is_recorded_and_tried_again(
    bench: Workbench, job: InferenceJob, error: Exception, failure: str
) -> None:
    failing(bench, error)
    assert bench.run(job)
    failed = bench.job()
    assert (failed.state, failed.failure.startswith(failure)) == (JobState.PENDING, True)
    assert failed.next_attempt_at == RETRY_JOBS.next_attempt_at(1, bench.clock())


def test_a_failure_hides_the_message_of_a_library(bench: Workbench, job: InferenceJob) -> None:
    failing(bench, ValueError("PHANTOM^JANE is no number"))
    bench.run(job)
    assert "JANE" not in bench.job().failure


def test_a_job_is_failed_after_its_last_attempt(bench: Workbench, job: InferenceJob) -> None:
    watched = failing(bench, OSError(5, "Input/output error"))
    for _ in range(5):
        bench.run(job)
        bench.clock.turn(600)
    assert (bench.job().state, watched.calls) == (JobState.FAILED, 3)
    assert bench.job().failure == "Input/output error"


def test_a_job_waits_for_a_full_disk_without_limit(bench: Workbench, job: InferenceJob) -> None:
    quick = bench.predictor
    failing(bench, OSError(28, "No space left on device"))
    for _ in range(20):
        assert bench.run(job)
        bench.clock.turn(10)
    assert (bench.job().state, bench.job().failure) == (JobState.PENDING, "No space left on device")
    bench.predictor = quick
    assert bench.run(job)
    assert bench.job().state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemory("cuda:0 does not have enough free memory for one image."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
    ids=["numpy", "cuda", "torch on a CPU"],
)
def test_out_of_memory_is_tried_once_more_in_a_new_process_and_no_further(
    bench: Workbench, job: InferenceJob, error: Exception
) -> None:
    watched = failing(bench, error)
    with pytest.raises(DeviceUnavailable):
        bench.run(job)
    assert bench.job().state is JobState.PENDING
    for _ in range(3):
        bench.clock.turn(600)
        with contextlib.suppress(DeviceUnavailable):
            bench.run(job)
    assert (bench.job().state, watched.calls) == (JobState.FAILED, 2)
    assert bench.job().failure_kind is FailureKind.OUT_OF_MEMORY
    assert "It failed the same way in a fresh worker process. Give the worker more memory" in bench.job().failure


def test_a_sentence_about_memory_does_not_count_as_an_earlier_lack_of_memory(
    bench: Workbench, job: InferenceJob
) -> None:
    failing(bench, TransientError("Out of memory: the share's server cannot open the file at present."))
    bench.run(job)
    bench.clock.turn(600)
    failing(bench, MemoryError())
    with pytest.raises(DeviceUnavailable):
        bench.run(job)
    assert bench.job().state is JobState.PENDING


def test_no_job_starts_while_the_disk_is_too_full_for_results(
    bench: Workbench, job: InferenceJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "LEAST_FREE_BYTES", 2**62)
    assert not bench.run(job)
    assert (bench.job().state, bench.job().attempt) == (JobState.PENDING, 0)
    monkeypatch.setattr(workbench, "LEAST_FREE_BYTES", 0)
    assert bench.run(job)


def test_a_permanent_failure_is_not_tried_again(bench: Workbench, job: InferenceJob) -> None:
    failing(bench, PermanentError("The image has no StudyInstanceUID."))
    bench.run(job)
    assert (bench.job().state, bench.job().failure) == (JobState.FAILED, "The image has no StudyInstanceUID.")


def test_a_lost_device_is_recorded_and_raised(bench: Workbench, job: InferenceJob) -> None:
    failing(bench, DeviceUnavailable("cuda:0 failed. Restart the worker."))
    with pytest.raises(DeviceUnavailable):
        bench.run(job)
    assert (bench.job().state, bench.job().failure) == (JobState.PENDING, "cuda:0 failed. Restart the worker.")


def test_a_file_that_is_gone_is_a_failure_that_names_it(bench: Workbench, job: InferenceJob) -> None:
    lost = next(bench.store.root.glob("instances/*/*.dcm"))
    lost.unlink()
    bench.run(job)
    assert bench.job().state is JobState.PENDING
    assert str(lost) in bench.job().failure


def test_a_job_whose_images_are_away_for_hours_is_done_when_they_are_back(bench: Workbench, job: InferenceJob) -> None:
    images = bench.store.root / "instances"
    elsewhere = images.rename(bench.store.root / "elsewhere")
    for _ in range(20):
        bench.run(job)
        bench.clock.turn(600)
    assert bench.job().state is JobState.PENDING
    elsewhere.rename(images)
    assert bench.run(job)
    assert bench.job().state is JobState.SUCCEEDED


def test_a_job_that_kills_every_worker_is_set_aside(bench: Workbench, job: InferenceJob) -> None:
    with bench.sessions.begin() as session:
        for _ in range(3):
            assert jobs.claim(session, job.job_id, owner="w", now=bench.clock(), lease_s=60, maximum_attempts=3)
            bench.clock.turn(60)
    assert not bench.run(job)
    assert bench.job().state is JobState.FAILED
    assert "3 worker processes died" in bench.job().failure
    assert bench.events()[-1] == "job_failed"


def test_images_that_cannot_be_analysed_are_reported_as_such(bench: Workbench, job: InferenceJob) -> None:
    for path in bench.store.root.glob("instances/*/*.dcm"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) - 1000])
    bench.run(job)
    assert bench.job().state is JobState.SUCCEEDED
    assert [result.sop_class_uid for result in bench.deliveries()] == ["1.2.840.10008.5.1.4.1.1.88.34"]


def test_stored_findings_are_used_again(bench: Workbench, job: InferenceJob) -> None:
    bench.run(job)
    again(bench, job)
    bench.predictor = watched = Watched(bench.predictor, lambda: None)
    assert bench.run(job)
    assert watched.calls == 0


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"?"), Path.unlink])
def test_findings_that_are_damaged_or_gone_are_made_again(
    bench: Workbench, job: InferenceJob, damage: Callable[[Path], object]
) -> None:
    bench.run(job)
    again(bench, job)
    damage(bench.store.resolve(f"findings/{job.job_id}.npz"))
    bench.predictor = watched = Watched(bench.predictor, lambda: None)
    assert bench.run(job)
    assert watched.calls == 1


def test_findings_of_another_algorithm_are_not_used(bench: Workbench, job: InferenceJob) -> None:
    bench.run(job)
    again(bench, job)
    bench.predictor = newer = Watched(bench.predictor, lambda: None)
    newer.version = "2"
    assert bench.run(job)
    assert (newer.calls, bench.job().algorithm_version) == (1, "2")


def again(bench: Workbench, job: InferenceJob) -> None:
    """Run the job again, as if the worker had died before it queued the results."""
    with bench.sessions.begin() as session:
        mark_changed(session, [job.study_instance_uid])
        unpublished = {"state": JobState.PENDING, "algorithm_version": "", "written_for": None}
        session.execute(update(JobRow).where(JobRow.job_id == job.job_id).values(unpublished))


def test_an_image_that_an_earlier_version_received_is_judged_again_by_its_file(bench: Workbench) -> None:
    images = [view.dataset for view in make_exam(5, rows=128, columns=96)]
    images[0].ImageType = ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]
    bench.receive(*images)
    with bench.sessions.begin() as session:
        for row in session.scalars(select(InstanceRow)):
            known = ("modality", "presentation_intent_type", "image_laterality", "view_position", "rows", "columns")
            row.attributes = {name: row.attributes[name] for name in known} | {"image_type": ["ORIGINAL", "PRIMARY"]}
    bench.clock.turn(300)
    (job,) = bench.dispatch()
    bench.run(job)
    found = read_findings(findings_path(bench.store.root, job.job_id))
    failures = {image.sop_instance_uid: image.failure or "" for image in found.images}
    assert "contrast-enhanced" in failures.pop(images[0].SOPInstanceUID)
    assert set(failures.values()) == {""}
