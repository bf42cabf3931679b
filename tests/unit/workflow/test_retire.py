"""Retention: old studies that are done are removed; studies that are not done, or recent, stay."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import audit, delivery_commitment
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.storage.retired import RetiredFiles
from glam_node.node.workflow.operate.retention import RetentionPolicy, finish_retirement, retire, retire_newer_versions
from tests.unit.workflow.workbench import Archive, Failing, Killed, Workbench, unsupported

DAY = 86_400.0
MONTH = RetentionPolicy(timedelta(days=30), 0)
NO_SPACE = RetentionPolicy(timedelta(days=30), 2**62)


def files(bench: Workbench) -> list[str]:
    """Return the files of studies in the storage root."""
    kept = [path for kind in ("instances", "findings", "results") for path in (bench.store.root / kind).rglob("*")]
    return sorted(str(path.relative_to(bench.store.root)) for path in kept if path.is_file())


def aged(bench: Workbench) -> None:
    """Make the files on disk old."""
    for name in files(bench):
        os.utime(bench.store.resolve(name), (0, 0))


def tidied(bench: Workbench, policy: RetentionPolicy = MONTH) -> int:
    return retire(bench.sessions, bench.store, policy, bench.clock())


@pytest.fixture
def done(bench: Workbench, exam: list[Dataset]) -> Workbench:
    """Return a node with a study whose results are in the archive."""
    bench.run(bench.submitted(*exam))
    bench.deliver(Archive())
    aged(bench)
    return bench


def test_an_old_study_is_removed_and_its_record_stays(done: Workbench) -> None:
    done.clock.turn(31 * DAY)
    assert (tidied(done), files(done)) == (1, [])
    assert (done.study().state, done.study().instances) == (StudyState.RETIRED, ())
    assert (done.job().state, len(done.deliveries())) == (JobState.SUCCEEDED, 3)
    assert done.events()[-1] == "study_retired"
    assert tidied(done) == 0


def test_a_younger_study_stays(done: Workbench) -> None:
    done.clock.turn(29 * DAY)
    assert tidied(done) == 0
    assert len(files(done)) == 8


def test_the_oldest_studies_go_early_while_space_is_short_but_not_within_the_hour(done: Workbench) -> None:
    done.clock.turn(3000 - 300)
    assert tidied(done, NO_SPACE) == 0
    done.clock.turn(1000)
    assert tidied(done, NO_SPACE) == 1


def test_a_study_with_undelivered_results_stays(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(*exam))
    bench.clock.turn(400 * DAY)
    assert tidied(bench, NO_SPACE) == 0
    bench.deliver(Archive(answer=unsupported))
    assert tidied(bench, NO_SPACE) == 0


def test_a_study_with_uncommitted_results_stays(done: Workbench) -> None:
    done.clock.turn(400 * DAY)
    with done.sessions.begin() as session:
        delivery_commitment.request(session, "archive", "2.25.5", now=done.clock(), until=done.clock(), limit=1)
    assert tidied(done) == 0


def test_a_study_with_a_waiting_or_failed_job_stays(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(*exam)
    bench.clock.turn(400 * DAY)
    assert tidied(bench) == 0
    bench.predictor = Failing(bench.predictor)  # type: ignore[assignment]
    bench.run(job)
    assert bench.job().state is JobState.FAILED
    assert tidied(bench) == 0


def test_an_ineligible_study_is_removed_too(bench: Workbench, exam: list[Dataset]) -> None:
    exam[0].PresentationIntentType, before = "FOR PROCESSING", exam[0].PresentationIntentType
    bench.receive(exam[0])
    exam[0].PresentationIntentType = before
    aged(bench)
    bench.clock.turn(300)
    bench.dispatch()
    bench.clock.turn(31 * DAY)
    assert (tidied(bench), files(bench)) == (1, [])


def test_an_image_that_is_sent_again_after_retirement_is_kept_and_not_analysed_again(
    done: Workbench, exam: list[Dataset]
) -> None:
    done.clock.turn(31 * DAY)
    tidied(done)
    done.receive(*exam)
    done.clock.turn(300)
    assert done.dispatch() == []
    assert (done.study().state, len(done.study().instances)) == (StudyState.REPORTED, 4)


def test_an_image_that_comes_again_while_its_study_is_retired_is_not_removed(
    done: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store the new file just before the old one is removed; its row is committed afterwards."""
    taken_away = RetiredFiles.remove
    again = f"instances/{exam[0].StudyInstanceUID}/{exam[0].SOPInstanceUID}.dcm"

    def arrives(retired: RetiredFiles, relative: str) -> bool:
        if relative == again:
            exam[0].save_as(done.store.resolve(again), enforce_file_format=True)
        return taken_away(retired, relative)

    monkeypatch.setattr(RetiredFiles, "remove", arrives)
    done.clock.turn(31 * DAY)
    tidied(done)
    assert files(done) == [again]


@pytest.mark.parametrize("event", ["after the transaction", "after a file was taken away"])
def test_files_left_by_a_crash_are_removed_at_the_next_start(
    done: Workbench, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(RetiredFiles, "remove", killed) if event == "after the transaction" else patched.setattr(
            Path, "unlink", killed
        )
        done.clock.turn(31 * DAY)
        with pytest.raises(Killed):
            tidied(done)
    assert done.study().state is StudyState.RETIRED
    assert finish_retirement(done.sessions, done.store) == 1
    assert files(done) == []
    assert not any((done.store.root / "retired").rglob("*.dcm"))


def test_files_that_were_taken_away_in_error_are_put_back_at_the_next_start(done: Workbench) -> None:
    (name,) = [name for name in files(done) if name.startswith("instances")][:1]
    taken = done.store.root / "retired" / name
    taken.parent.mkdir(parents=True)
    done.store.resolve(name).rename(taken)
    os.utime(taken)
    assert finish_retirement(done.sessions, done.store) == 0
    assert name in files(done)


def conflict(bench: Workbench, name: str, days_ago: float) -> Path:
    path = bench.store.resolve(f"conflicts/{name}.dcm")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"other bytes")
    at = (bench.clock() - timedelta(days=days_ago)).timestamp()
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize(("policy", "left"), [(MONTH, {"young", "new"}), (NO_SPACE, {"new"})], ids=["age", "space"])
def test_newer_versions_are_removed_by_age_and_for_space(
    bench: Workbench, policy: RetentionPolicy, left: set[str]
) -> None:
    for name, days_ago in (("old", 31.0), ("new", 0.02), ("young", 29.0)):
        conflict(bench, name, days_ago)
    assert retire_newer_versions(bench.sessions, bench.store, policy, bench.clock()) == 3 - len(left)
    assert {path.stem for path, _ in bench.store.conflicts()} == left
    with bench.sessions() as session:
        told = {event.detail["kept_at"] for event in audit.recent(session, EventKind.CONFLICT_RETIRED, 10)}
    assert told == {f"conflicts/{name}.dcm" for name in {"old", "young", "new"} - left}


def test_unfinished_files_of_a_killed_worker_are_removed_once_they_are_old(done: Workbench) -> None:
    old, recent = (done.store.resolve(f"findings/.{name}.npz.ab.part") for name in ("old", "recent"))
    for path in (old, recent):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    finish_retirement(done.sessions, done.store)
    assert (old.exists(), recent.exists()) == (False, True)


def test_the_reason_of_retirement_is_recorded(done: Workbench) -> None:
    done.clock.turn(31 * DAY)
    tidied(done)
    with done.sessions() as session:
        event = audit.timeline(session, done.study().study_instance_uid)[-1]
    assert event.detail == {"rule": "age", "was": "REPORTED", "instances": 4}
