"""Results that cannot be written: the others are written, and the reason is recorded."""

import errno
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.analyse import result_maker
from glam_node.node.workflow.analyse.result_maker import ResultMaker, ResultSelection
from glam_node.node.workflow.operate.retry import retry_study
from glam_node.node.workflow.operate.study_description import describe
from glam_node.result_kinds import ANALYSIS_KINDS, PRESENTATION_STATE, SOP_CLASSES
from tests.unit.workflow.workbench import ELIGIBILITY, Archive, Workbench

Writer = Callable[[ResultMaker, ResultSelection], Iterable[Dataset]]


def broken(error: Exception, view: str = "") -> Callable[[Writer], Writer]:
    """Return a writer that raises `error` for the images of a view, or for all."""

    def wrap(writer: Writer) -> Writer:
        def write(maker: ResultMaker, selection: ResultSelection) -> Iterable[Dataset]:
            views = [f"{one.image_laterality} {one.view_position}" for one in maker.findings.images]
            if not view or views == [view]:
                raise error
            return writer(maker, selection)

        return write

    return wrap


def plant(monkeypatch: pytest.MonkeyPatch, kind: str, change: Callable[[Writer], Writer]) -> None:
    monkeypatch.setitem(result_maker._MAKERS, kind, change(result_maker._MAKERS[kind]))


def written(bench: Workbench) -> dict[str, list[Dataset]]:
    """Return the queued results by SOP class."""
    by_class: dict[str, list[Dataset]] = {}
    for one in bench.deliveries():
        by_class.setdefault(one.sop_class_uid, []).append(dcmread(bench.store.resolve(one.path)))
    return by_class


def retried(bench: Workbench) -> str:
    with bench.sessions.begin() as session:
        return retry_study(session, bench.order(), bench.context).job_id


@pytest.mark.parametrize("kind", ANALYSIS_KINDS)
def test_a_kind_that_cannot_be_written_does_not_stop_the_others(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plant(monkeypatch, kind, broken(ValueError("JANE^PHANTOM at image.py:1916")))
    bench.destinations = {"archive": ANALYSIS_KINDS}
    bench.run(bench.submitted(*exam))
    job = bench.job()
    assert (job.state, bench.study().state) == (JobState.SUCCEEDED, StudyState.REPORTED)
    assert f"The {kind.replace('_', ' ')}" in job.failure
    assert "could not be written: glam-node cannot interpret the image (ValueError)." in job.failure
    assert not {"JANE", ".py"} & set(job.failure.replace("^", " ").split())
    others = {SOP_CLASSES[other] for other in ANALYSIS_KINDS if other != kind}
    assert others <= set(written(bench)) | {SOP_CLASSES[kind]}
    assert "result_not_written" in bench.events()


def test_the_report_and_the_timeline_name_the_view_without_its_presentation_state(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, PRESENTATION_STATE, broken(TypeError("None"), "L CC"))
    bench.destinations = {"archive": ANALYSIS_KINDS}
    bench.run(bench.submitted(*exam))
    results = written(bench)
    (state,) = results[SOP_CLASSES[PRESENTATION_STATE]]
    assert "L MLO" in state.SeriesDescription
    (report,) = results[SOP_CLASSES["measurement_report"]]
    assert "The presentation state of L CC could not be written" in report.to_json()
    with bench.sessions() as session:
        (event,) = audit.recent(session, EventKind.RESULT_NOT_WRITTEN, 5)
    assert (event.detail["kind"], event.detail["view"]) == (PRESENTATION_STATE, "L CC")
    told = json.dumps(describe(bench.study(), ELIGIBILITY, bench.sessions, bench.store.root), default=str)
    assert "The presentation state of L CC could not be written" in told
    assert "glam-node study retry" in told


def test_a_kind_that_failed_is_written_when_a_person_retries(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.destinations = {"archive": ANALYSIS_KINDS}
    with monkeypatch.context() as faulty:
        plant(faulty, PRESENTATION_STATE, broken(TypeError("None")))
        bench.run(bench.submitted(*exam))
    (first,) = written(bench)[SOP_CLASSES["measurement_report"]]
    sent = bench.deliver(Archive())
    assert retried(bench) == bench.job().job_id
    bench.run(bench.job())
    results = written(bench)
    assert len(results[SOP_CLASSES[PRESENTATION_STATE]]) == 2
    assert bench.job().failure == ""
    report = next(
        one for one in results[SOP_CLASSES["measurement_report"]] if one.SOPInstanceUID != first.SOPInstanceUID
    )
    assert "could not be written" not in report.to_json()
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert 0 < bench.deliver(Archive()) < sent
    assert not retried(bench)


def test_a_job_without_any_written_result_fails_with_a_reason(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("segmentation", "measurement_report"):
        plant(monkeypatch, kind, broken(ValueError("at image.py:1916")))
    bench.run(bench.submitted(exam[1]))
    assert bench.job().state is JobState.FAILED
    assert bench.job().failure.startswith("No result could be written. The segmentation of L CC could not be written")
    assert ".py" not in bench.job().failure


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()], ids=repr)
def test_a_full_disk_or_lack_of_memory_delays_the_whole_job(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with monkeypatch.context() as faulty:
        plant(faulty, "segmentation", broken(error))
        job = bench.submitted(exam[1])
        try:
            bench.run(job)
        except Exception:  # lack of memory, which ends the worker
            assert isinstance(error, MemoryError)
    assert (bench.job().state, bench.deliveries()) == (JobState.PENDING, [])
    bench.clock.turn(60)
    bench.run(bench.job())
    assert (bench.job().state, bench.job().failure, len(bench.deliveries())) == (JobState.SUCCEEDED, "", 2)


def damage(path: Path) -> None:
    """Cut a file in the middle of a sequence."""
    path.write_bytes(path.read_bytes()[:700])


def test_an_image_that_cannot_be_read_any_more_does_not_stop_the_others(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(*exam)
    damage(bench.store.resolve(f"instances/{exam[0].StudyInstanceUID}/{exam[0].SOPInstanceUID}.dcm"))
    bench.run(job)
    assert bench.job().state is JobState.SUCCEEDED
    results = written(bench)
    assert len(results[SOP_CLASSES["segmentation"]]) == 2
    (report,) = results[SOP_CLASSES["measurement_report"]]
    assert "This image could not be analysed" in report.to_json()
    assert exam[0].SOPInstanceUID in report.to_json()
    assert report.PatientID == exam[0].PatientID


def test_a_report_lists_only_what_its_own_destination_gets(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {
        "archive": ("segmentation", "measurement_report"),
        "viewer": ("presentation_state", "key_object_selection"),
        "station": ("secondary_capture", "measurement_report", "mammography_cad_sr"),
        "second": ("measurement_report", "segmentation"),
    }
    bench.run(bench.submitted(*exam))
    images = {image.SOPInstanceUID for image in exam}
    got: dict[str, set[str]] = {}
    for one in bench.deliveries():
        got.setdefault(one.destination, set()).add(one.sop_instance_uid)
    for one in bench.deliveries():
        assert named_in(dcmread(bench.store.resolve(one.path))) <= images | got[one.destination]
    assert got["archive"] == got["second"]
    assert {destination: len(uids) for destination, uids in got.items()} == {
        "archive": 3,
        "second": 3,
        "viewer": 3,
        "station": 3,
    }


def named_in(result: Dataset) -> set[str]:
    return {str(one.value) for one in result.iterall() if one.keyword == "ReferencedSOPInstanceUID"}
