"""Processes that are killed at any point of a study's way: the next process loses nothing and doubles nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import audit, deliveries, jobs, studies
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.analyse import result_maker, result_writer, run_job
from glam_node.node.workflow.deliver import send_results
from tests.builders import COMPREHENSIVE_3D_SR, SEGMENTATION
from tests.unit.workflow.workbench import LEASE_S, Archive, Killed, Workbench

BEFORE, AFTER = False, True

# Module, function, number of the call, and whether to kill before or after the call
IN_THE_WORKER: list[tuple[Any, str, int, bool]] = [
    (run_job, "segment_study", 1, BEFORE),
    (run_job, "write_durably", 1, BEFORE),
    (run_job, "write_durably", 1, AFTER),
    (run_job, "publish", 1, BEFORE),
    (result_maker, "write_measurement_report", 1, AFTER),
    (result_writer, "write_durably", 1, BEFORE),
    (result_writer, "write_durably", 1, AFTER),
    (result_writer, "write_durably", 2, BEFORE),
    (result_writer, "write_durably", 2, AFTER),
    (jobs, "succeed", 1, AFTER),
    (deliveries, "add_missing", 1, AFTER),
    (studies, "set_state", 1, AFTER),
    (audit, "record", 4, AFTER),
    (run_job, "publish", 1, AFTER),
]
IN_THE_SENDER: list[tuple[Any, str, int, bool]] = [
    (deliveries, "claim_due", 1, AFTER),
    (send_results, "_store", 1, BEFORE),
]
IN_THE_DISPATCHER: list[tuple[Any, str, int, bool]] = [
    (studies, "set_state", 1, BEFORE),
    (studies, "set_state", 1, AFTER),
    (studies, "set_state", 2, AFTER),
    (jobs, "add", 1, BEFORE),
    (jobs, "add", 1, AFTER),
    (audit, "record", 2, AFTER),
]


def kill_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int, after: bool) -> None:
    """Kill the process once, at the `call`-th call of the function."""
    original: Callable[..., Any] = getattr(module, name)
    calls = 0

    def deadly(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        result = original(*arguments, **keywords)
        if calls == call:
            raise Killed
        return result

    monkeypatch.setattr(module, name, deadly)


def everything_is_stored_once(bench: Workbench, archive: Archive) -> None:
    sent = sorted(delivery.sop_class_uid for delivery in bench.deliveries())
    assert sent == [SEGMENTATION, COMPREHENSIVE_3D_SR]
    assert sorted(archive.received) == sorted(bench.results())
    assert {delivery.state for delivery in bench.deliveries()} == {DeliveryState.STORED}
    assert (bench.study().state, bench.job().state) == (StudyState.REPORTED, JobState.SUCCEEDED)
    assert bench.events().count("job_succeeded") == 1


@pytest.mark.parametrize(("module", "name", "call", "after"), IN_THE_WORKER)
def test_a_killed_worker_loses_and_doubles_nothing(
    bench: Workbench,
    exam: list[Dataset],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    call: int,
    after: bool,
) -> None:
    job = bench.submitted(exam[1])
    with monkeypatch.context() as killing, pytest.raises(Killed):
        kill_at(killing, module, name, call, after)
        bench.run(job, "first")
    bench.clock.turn(LEASE_S)
    bench.run(job, "second")
    archive = Archive()
    bench.deliver(archive)
    everything_is_stored_once(bench, archive)


@pytest.mark.parametrize(("module", "name", "call", "after"), IN_THE_SENDER)
def test_a_killed_sender_loses_and_doubles_nothing(
    bench: Workbench,
    exam: list[Dataset],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    call: int,
    after: bool,
) -> None:
    bench.run(bench.submitted(exam[1]))
    archive = Archive()
    with monkeypatch.context() as killing, pytest.raises(Killed):
        kill_at(killing, module, name, call, after)
        bench.deliver(archive)
    bench.clock.turn(send_results.CLAIM_TIME.total_seconds())
    bench.deliver(archive)
    everything_is_stored_once(bench, archive)


def test_a_sender_killed_before_it_recorded_what_it_sent_sends_the_same_objects_again(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(bench.submitted(exam[1]))
    archive = Archive()
    with monkeypatch.context() as killing, pytest.raises(Killed):
        kill_at(killing, send_results, "_store", 1, AFTER)
        bench.deliver(archive)
    bench.clock.turn(send_results.CLAIM_TIME.total_seconds())
    bench.deliver(archive)
    assert archive.received == archive.received[:2] * 2


@pytest.mark.parametrize(("module", "name", "call", "after"), IN_THE_DISPATCHER)
def test_a_killed_dispatcher_loses_and_doubles_nothing(
    bench: Workbench,
    exam: list[Dataset],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    call: int,
    after: bool,
) -> None:
    with monkeypatch.context() as killing, pytest.raises(Killed):
        kill_at(killing, module, name, call, after)
        bench.submitted(exam[1])
    bench.dispatch()
    assert [job.state for job in bench.jobs()] == [JobState.PENDING]
    assert bench.events() == ["study_complete", "job_submitted"]


def test_results_lost_with_the_disk_are_made_again_byte_by_byte(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = bench.submitted(exam[1])
    with monkeypatch.context() as killing, pytest.raises(Killed):
        kill_at(killing, jobs, "succeed", 1, BEFORE)
        bench.run(job)
    first = {uid: path.read_bytes() for uid, path in bench.results().items()}
    for path in bench.results().values():
        path.unlink()
    bench.store.resolve(f"findings/{job.job_id}.npz").unlink()
    bench.clock.turn(LEASE_S)
    bench.run(job)
    assert {uid: path.read_bytes() for uid, path in bench.results().items()} == first
