"""Publication: results are written and queued once."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.inference.findings_file import read_findings
from glam_node.node.db import audit
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.results.scores import mean_scores
from glam_node.node.storage.findings import findings_path
from glam_node.node.storage.root import MARKER, write_marker
from glam_node.result_kinds import (
    ANALYSIS_KINDS,
    COMPREHENSIVE_SR,
    KEY_OBJECT_SELECTION,
    MEASUREMENT_REPORT,
    SOP_CLASSES,
)
from tests.builders import COMPREHENSIVE_3D_SR, SEGMENTATION
from tests.unit.workflow.workbench import BOTH, Archive, Workbench


def reported(bench: Workbench, *images: Dataset) -> None:
    bench.run(bench.submitted(*images))


def test_a_view_with_a_finding_has_a_segmentation_and_the_study_a_report(bench: Workbench, exam: list[Dataset]) -> None:
    reported(bench, *exam)
    classes = sorted(dcmread(path).SOPClassUID for path in bench.results().values())
    assert classes == [SEGMENTATION, SEGMENTATION, COMPREHENSIVE_3D_SR]


def test_results_are_stored_with_their_study_under_their_uid(bench: Workbench, exam: list[Dataset]) -> None:
    reported(bench, exam[0])
    (uid,) = bench.results()
    path = bench.store.resolve(f"results/{exam[0].StudyInstanceUID}/{uid}.dcm")
    assert dcmread(path).SOPInstanceUID == uid


def test_every_object_is_queued_for_every_destination_that_wants_it(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": BOTH, "workstation": ("segmentation",), "registry": ()}
    reported(bench, exam[1])
    queued = sorted((delivery.destination, delivery.sop_class_uid) for delivery in bench.deliveries())
    assert queued == [("archive", SEGMENTATION), ("archive", COMPREHENSIVE_3D_SR), ("workstation", SEGMENTATION)]
    assert {delivery.state for delivery in bench.deliveries()} == {DeliveryState.PENDING}


def test_a_node_without_destinations_keeps_its_results(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {}
    reported(bench, exam[1])
    assert (len(bench.results()), bench.deliveries()) == (2, [])


def test_another_job_of_the_study_sends_only_what_is_new(bench: Workbench, exam: list[Dataset]) -> None:
    reported(bench, exam[1])
    before = {delivery.sop_instance_uid: delivery for delivery in bench.deliveries()}
    kept = {uid: path.read_bytes() for uid, path in bench.results().items()}
    reported(bench, exam[0])
    after = {delivery.sop_instance_uid: delivery for delivery in bench.deliveries()}
    assert {uid: after[uid] for uid in before} == before
    assert [after[uid].sop_class_uid for uid in after.keys() - before.keys()] == [COMPREHENSIVE_3D_SR]
    assert {uid: bench.results()[uid].read_bytes() for uid in kept} == kept


def test_a_report_names_that_of_the_run_before(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ("measurement_report", "mammography_cad_sr")}
    runs: list[dict[str, Dataset]] = []
    for image in exam[:3]:
        before = set(bench.results())
        reported(bench, image)
        made = (dcmread(path) for uid, path in bench.results().items() if uid not in before)
        runs.append({report.SOPClassUID: report for report in made})
    assert not any("PredecessorDocumentsSequence" in report for report in runs[0].values())
    for earlier, later in pairwise(runs):
        named = {sop_class: predecessors(report) for sop_class, report in later.items()}
        assert named == {sop_class: [report.SOPInstanceUID] for sop_class, report in earlier.items()}


def test_a_study_with_presentation_states_is_read_again(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ANALYSIS_KINDS}
    reported(bench, *exam[:3])
    before = set(bench.results())
    reported(bench, exam[3])
    made = [dcmread(path) for uid, path in bench.results().items() if uid not in before]
    assert {"PR", "SR", "OT"} <= {result.Modality for result in made}
    assert all(set(predecessors(result)) < before for result in made if result.SOPClassUID == COMPREHENSIVE_3D_SR)


def test_a_report_that_is_gone_from_disk_is_not_named(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ("measurement_report",)}
    reported(bench, exam[0])
    (first,) = bench.results().values()
    first.unlink()
    reported(bench, exam[1])
    (second,) = bench.results().values()
    assert "PredecessorDocumentsSequence" not in dcmread(second)


def predecessors(report: Dataset) -> list[str]:
    """Return the UIDs of the documents that the report follows."""
    return [
        reference.ReferencedSOPInstanceUID
        for study in report.PredecessorDocumentsSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]


def test_written_results_are_in_the_timeline(bench: Workbench, exam: list[Dataset]) -> None:
    reported(bench, exam[1])
    assert bench.events()[2:] == ["job_started", "result_written", "result_written", "job_succeeded"]


def test_only_kinds_that_a_destination_wants_are_made(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"viewer": ("presentation_state",), "registry": ("key_object_selection",)}
    reported(bench, *exam)
    made = sorted((dcmread(path).Modality, delivery.destination) for path, delivery in joined(bench))
    assert made == [("KO", "registry"), ("PR", "viewer"), ("PR", "viewer")]
    assert len(bench.results()) == 3


def joined(bench: Workbench) -> list[tuple[Path, Delivery]]:
    """Return each delivery with its file."""
    return [(bench.results()[delivery.sop_instance_uid], delivery) for delivery in bench.deliveries()]


def test_all_kinds_together_are_made_of_the_files_that_were_received(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ANALYSIS_KINDS}
    reported(bench, *exam)
    assert {dcmread(path).SOPClassUID for path in bench.results().values()} == set(SOP_CLASSES.values())
    (selection,) = [dcmread(path) for path in bench.results().values() if dcmread(path).Modality == "KO"]
    referred = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in selection.ContentSequence
        if "ReferencedSOPSequence" in item
    }
    not_referred = {str(selection.SOPInstanceUID), *of_class(bench, SOP_CLASSES[COMPREHENSIVE_SR])}
    assert set(bench.results()) - not_referred < referred


def of_class(bench: Workbench, sop_class_uid: str) -> list[str]:
    """Return the UIDs of the results of that class."""
    return [uid for uid, path in bench.results().items() if dcmread(path).SOPClassUID == sop_class_uid]


def test_the_measurement_report_names_every_other_object_of_the_run(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ANALYSIS_KINDS}
    reported(bench, *exam)
    (report,) = (dcmread(bench.results()[uid]) for uid in of_class(bench, COMPREHENSIVE_3D_SR))
    named = {
        str(reference.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    classes = [SOP_CLASSES[kind] for kind in (MEASUREMENT_REPORT, COMPREHENSIVE_SR, KEY_OBJECT_SELECTION)]
    beside = set(bench.results()) - {uid for sop_class in classes for uid in of_class(bench, sop_class)}
    assert named == beside | {str(image.SOPInstanceUID) for image in exam}


def test_a_finding_refers_to_its_segment(bench: Workbench, exam: list[Dataset]) -> None:
    reported(bench, exam[1])
    (segmentation,) = (dcmread(bench.results()[uid]) for uid in of_class(bench, SEGMENTATION))
    (report,) = (dcmread(bench.results()[uid]) for uid in of_class(bench, COMPREHENSIVE_3D_SR))
    references = [
        (item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, item.ReferencedSOPSequence[0].ReferencedSegmentNumber)
        for container in report.ContentSequence
        for group in container.get("ContentSequence", [])
        for item in group.get("ContentSequence", [])
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Segmentation"
    ]
    assert references == [
        (segmentation.SOPInstanceUID, segment.SegmentNumber) for segment in segmentation.SegmentSequence
    ]


def test_the_record_of_an_analysis_has_the_mean_scores_of_its_images(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(*exam))
    found = read_findings(findings_path(bench.store.root, bench.job().job_id))
    with bench.sessions() as session:
        (event,) = audit.recent(session, EventKind.JOB_SUCCEEDED, 2)
    assert event.detail["mean_scores"] == mean_scores(found.images)
    assert event.detail["mean_scores"]["malignant"] > 0


def test_results_written_while_the_storage_root_was_away_are_not_handed_over(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, works = bench.submitted(*exam), bench.predictor.segment

    def segment(*args: Any, **options: Any) -> Any:
        found = works(*args, **options)
        write_marker(bench.store.root, "another directory")
        return found

    monkeypatch.setattr(bench.predictor, "segment", segment)
    bench.run(job)
    assert (bench.job().state, bench.study().state, bench.deliveries()) == (JobState.PENDING, StudyState.SUBMITTED, [])
    assert "marker" in bench.job().failure
    (bench.store.root / MARKER).unlink()
    monkeypatch.undo()
    bench.clock.turn(3600)
    bench.run(job)
    assert bench.deliver(Archive()) == len(bench.deliveries()) > 0
