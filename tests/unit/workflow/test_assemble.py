"""Completion of studies."""

from glam_node.node.db import audit
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.assemble.completion import close_complete_studies
from tests.builders import STUDY_UID, after, four_views, sop_instance
from tests.unit.workflow.workbench import ASSEMBLY, Workbench


def close(bench: Workbench, seconds: float) -> list[str]:
    with bench.sessions.begin() as session:
        return [study.study_instance_uid for study in close_complete_studies(session, after(seconds), ASSEMBLY)]


def test_a_study_with_four_views_is_closed_when_the_sender_has_settled(bench: Workbench) -> None:
    bench.record(*four_views())
    assert close(bench, 9) == []
    assert close(bench, 10) == [STUDY_UID]
    assert close(bench, 11) == []


def test_the_reason_is_on_the_record_and_in_the_timeline(bench: Workbench) -> None:
    bench.record(*four_views())
    close(bench, 12)
    study = bench.study()
    reason = "R CC, L CC, R MLO, L MLO received, sender quiet for 12 s"
    assert (study.state, study.rule, study.reason) == (StudyState.COMPLETE, "settle_time", reason)
    with bench.sessions() as session:
        (event,) = audit.timeline(session, STUDY_UID)
    assert (event.kind, event.detail) == (
        "study_complete",
        {"rule": "settle_time", "reason": reason, "instances": 4},
    )


def test_every_study_is_closed_however_many_there_are(bench: Workbench) -> None:
    bench.record(*[sop_instance("R CC", study_instance_uid=f"2.25.{number}") for number in range(150)])
    assert (len(close(bench, 300)), len(close(bench, 300)), len(close(bench, 300))) == (100, 50, 0)
