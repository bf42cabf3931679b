"""Fallbacks: objects of a class that an archive does not accept are replaced by others."""

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.result_kinds import COMPREHENSIVE_SR, SOP_CLASSES
from tests.builders import COMPREHENSIVE_3D_SR
from tests.unit.workflow.workbench import Archive, Workbench, down, unsupported


def no_comprehensive_3d(instance: OutgoingInstance) -> StoreOutcome | None:
    return unsupported(instance) if instance.sop_class_uid == COMPREHENSIVE_3D_SR else None


@pytest.fixture
def reported(bench: Workbench, exam: list[Dataset]) -> Workbench:
    bench.destinations = {"archive": ("measurement_report",)}
    bench.fallbacks = {"archive": {"measurement_report": "comprehensive_sr"}}
    bench.run(bench.submitted(exam[1]))
    return bench


def states(bench: Workbench) -> dict[str, DeliveryState]:
    return {delivery.sop_class_uid: delivery.state for delivery in bench.deliveries()}


def test_a_fallback_waits_while_the_archive_accepts_the_first_choice(reported: Workbench) -> None:
    assert reported.deliver(Archive()) == 1
    assert reported.deliver(Archive()) == 0
    assert states(reported) == {
        COMPREHENSIVE_3D_SR: DeliveryState.STORED,
        SOP_CLASSES[COMPREHENSIVE_SR]: DeliveryState.STANDBY,
    }


def test_an_archive_that_refuses_a_class_gets_its_fallback(reported: Workbench) -> None:
    archive = Archive(answer=no_comprehensive_3d)
    assert [reported.deliver(archive), reported.deliver(archive), reported.deliver(archive)] == [0, 1, 0]
    assert states(reported) == {
        COMPREHENSIVE_3D_SR: DeliveryState.REPLACED,
        SOP_CLASSES[COMPREHENSIVE_SR]: DeliveryState.STORED,
    }
    assert "delivery_replaced" in reported.events()


def test_an_archive_that_is_down_gets_no_fallback(reported: Workbench) -> None:
    reported.deliver(Archive(answer=down))
    assert set(states(reported).values()) == {DeliveryState.PENDING, DeliveryState.STANDBY}


def test_a_refused_result_without_a_fallback_is_abandoned(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ("measurement_report",)}
    bench.fallbacks = {"archive": {"measurement_report": "presentation_state"}}
    bench.run(bench.submitted(exam[0]))
    bench.deliver(Archive(answer=no_comprehensive_3d))
    assert states(bench) == {COMPREHENSIVE_3D_SR: DeliveryState.ABANDONED}


def test_the_fallback_report_has_the_same_content(reported: Workbench) -> None:
    reports = {report.SOPClassUID: report for report in map(dcmread, reported.results().values())}
    assert reports.keys() == {COMPREHENSIVE_3D_SR, SOP_CLASSES[COMPREHENSIVE_SR]}
    first, second = reports.values()
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.ContentSequence == second.ContentSequence
