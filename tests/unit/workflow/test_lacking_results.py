"""Results that a destination lacks because it, or a kind of result, was configured later."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from sqlalchemy import update

from glam_node.node.db.tables import JobRow
from glam_node.node.domain.job import JobState
from glam_node.node.domain.routing import SiteRule
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.storage.findings import findings_path
from glam_node.node.workflow.analyse import result_maker
from glam_node.node.workflow.analyse.context import Audience
from glam_node.node.workflow.operate.retry import retry_study
from glam_node.rules.grammar import parse
from tests.unit.workflow.workbench import BOTH, Archive, Workbench, act


def test_a_destination_that_is_added_later_gets_the_stored_results(reported: Workbench) -> None:
    archive, new = Archive(), Archive("new")
    reported.deliver(archive)
    reported.destinations = {**reported.destinations, "new": BOTH}
    assert act(reported, "new") == "the results that new lacks will be written and sent to it"
    reported.run(reported.job())
    assert (reported.deliver(archive), reported.deliver(new)) == (0, 2)
    assert set(new.received) == set(archive.received)
    assert reported.study().state is StudyState.REPORTED


def test_a_destination_that_is_added_later_gets_the_kinds_that_it_asks_for(reported: Workbench) -> None:
    new = Archive("new")
    reported.destinations = {**reported.destinations, "new": ("secondary_capture",)}
    assert act(reported) == "the results that new lacks will be written and sent to it"
    reported.run(reported.job())
    reported.deliver(new)
    assert [one.sop_class_uid for one in reported.deliveries() if one.destination == "new"] == [
        SecondaryCaptureImageStorage
    ]
    assert len(new.received) == 1


def test_a_new_destination_that_is_not_named_gets_no_results(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH, "trial": BOTH}
    for named, sent in (("new", {"new"}), ("trial", {"new", "trial"})):
        assert act(reported, named) == f"the results that {named} lacks will be written and sent to it"
        reported.run(reported.job())
        assert {one.destination for one in reported.deliveries()} == {"archive", "other", *sent}


def test_a_destination_with_results_gets_a_kind_that_it_lacks_though_another_is_named(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "archive": (*BOTH, "secondary_capture"), "new": BOTH}
    assert "archive lacks" in act(reported, "new")


def test_a_study_is_not_analysed_again_for_a_new_destination(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH}
    act(reported)
    findings = findings_path(reported.store.root, reported.job().job_id)
    written_at = findings.stat().st_mtime_ns
    reported.run(reported.job())
    assert findings.stat().st_mtime_ns == written_at


def test_a_kind_that_is_asked_for_later_is_written_for_the_destination(reported: Workbench) -> None:
    archive = Archive()
    reported.deliver(archive)
    reported.destinations = {"archive": (*BOTH, "key_object_selection", "secondary_capture"), "other": BOTH}
    act(reported, "archive")
    reported.run(reported.job())
    assert reported.deliver(archive) >= 2


def test_results_of_other_settings_are_not_written_for_one_destination_alone(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH}
    reported.settings_digest = "other"
    with pytest.raises(PermanentError, match=r"`glam-node study retry .*` reads it again"):
        act(reported, "new")
    with pytest.raises(PermanentError, match="read with other settings"):
        act(reported)


def test_a_rule_of_the_site_does_not_keep_results_from_a_destination_that_is_named(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.site = (SiteRule("site", parse("Rows == 64"), destinations=("archive",)),)
    bench.run(bench.submitted(exam[1]))
    bench.destinations = {"archive": BOTH, "new": BOTH}
    with pytest.raises(PermanentError, match="No result of study"):
        act(bench)
    act(bench, "new")
    bench.run(bench.job())
    assert bench.deliver(Archive("new")) == 2


def test_no_destination_is_told_of_a_failure_when_results_cannot_be_written_later(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": (*BOTH, "not_analysed_report")}
    act(reported)
    reported.store.resolve(reported.study().instances[0].path).write_bytes(b"damaged")
    reported.run(reported.job())
    assert [(one.is_notice, one.state) for one in reported.jobs()] == [(False, JobState.FAILED)]


def test_no_destination_is_told_of_a_failure_when_a_late_image_arrived_meanwhile(
    reported: Workbench, exam: list[Dataset]
) -> None:
    reported.destinations = {**reported.destinations, "new": (*BOTH, "not_analysed_report")}
    act(reported)
    reported.receive(exam[2])
    reported.store.resolve(reported.study().instances[0].path).write_bytes(b"damaged")
    reported.run(reported.job())
    assert reported.study().state is StudyState.RECEIVING
    assert [(one.is_notice, one.state) for one in reported.jobs()] == [(False, JobState.FAILED)]


def run_by_an_older_version(bench: Workbench) -> None:
    """Make the jobs look as if an older version had run them: with another digest, and without the kinds it wrote."""
    with bench.sessions.begin() as session:
        session.execute(update(JobRow).values(written_for=None, settings_digest="older"))


def test_results_of_an_older_version_are_not_written_a_second_time(reported: Workbench) -> None:
    run_by_an_older_version(reported)
    archive = Archive()
    reported.deliver(archive)
    reported.deliver(Archive("other"))
    reported.destinations = {"archive": (*BOTH, "secondary_capture"), "other": BOTH, "new": BOTH}
    with pytest.raises(
        PermanentError, match=r"another version of glam-node, .* `glam-node study retry .*` reads it again"
    ):
        act(reported, "new")
    assert act(reported, "archive", stored=True) == "2 results will be sent to archive again"
    assert act(reported, stored=True).startswith("2 results will be sent to other again. Study ")
    assert reported.job().state is JobState.SUCCEEDED
    with reported.sessions.begin() as session:
        assert retry_study(session, reported.order(), reported.context).judged_again
    (job,) = reported.dispatch()
    assert reported.run(job)


def test_a_worker_with_other_settings_does_not_write_results_a_second_time(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH}
    act(reported, "new")
    queued = len(reported.deliveries())
    reported.settings_digest = "changed meanwhile"
    reported.run(reported.job())
    assert len(reported.deliveries()) == queued
    assert "`glam-node study retry` reads it again" in reported.job().failure
    with reported.sessions.begin() as session:
        assert retry_study(session, reported.order(), reported.context).judged_again
    (job,) = reported.dispatch()
    assert reported.run(job)
    assert [one.state for one in reported.jobs()] == [JobState.SUCCEEDED, JobState.SUCCEEDED]


def test_a_worker_with_another_runtime_does_not_write_results_a_second_time(
    reported: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH}
    act(reported, "new")
    first = {one.sop_instance_uid for one in reported.deliveries()}
    algorithm = reported.predictor.algorithm
    other = replace(algorithm, parameters=(*algorithm.parameters, ("runtime", "other")))
    monkeypatch.setattr(type(reported.predictor), "algorithm", other)
    reported.run(reported.job())
    assert {one.sop_instance_uid for one in reported.deliveries()} == first
    assert len(reported.deliveries()) == 6


def test_a_destination_with_a_changed_presentation_gets_nothing_twice(bench: Workbench, exam: list[Dataset]) -> None:
    bench.others = (Audience({"station": BOTH}, {}, {"score_scale": "raw"}),)
    bench.run(bench.submitted(exam[1]))
    bench.destinations = {"archive": BOTH, "new": BOTH}
    bench.others = (Audience({"station": (*BOTH, "secondary_capture")}, {}, {"score_scale": "ten"}),)
    with pytest.raises(PermanentError, match=r"another destinations\.station\.presentation"):
        act(bench, "station")
    assert act(bench) == "the results that new lacks will be written and sent to it"
    bench.run(bench.job())
    assert sorted(one.destination for one in bench.deliveries()) == ["archive"] * 2 + ["new"] * 2 + ["station"] * 2


@pytest.mark.parametrize("kind", ["key_object_selection", "secondary_capture"])
def test_a_kind_that_made_no_object_is_not_written_at_every_resend(
    reported: Workbench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setitem(result_maker._MAKERS, kind, lambda *_: [])
    reported.destinations = {"archive": (*BOTH, kind), "other": BOTH}
    assert act(reported) == "the results that archive lacks will be written and sent to it"
    reported.run(reported.job())
    with pytest.raises(PermanentError, match="No result of study"):
        act(reported)
    with pytest.raises(PermanentError, match="No result of study"):
        act(reported, "archive")


def test_a_kind_that_could_not_be_written_is_written_by_retry_and_not_at_every_resend(
    reported: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported.destinations = {**reported.destinations, "new": (*BOTH, "secondary_capture")}
    act(reported)
    with monkeypatch.context() as faulty:
        faulty.setitem(result_maker._MAKERS, "secondary_capture", lambda *_: 1 / 0)
        reported.run(reported.job())
    with pytest.raises(PermanentError, match=r"not complete\. The secondary capture could not be written"):
        act(reported, "new")
    with reported.sessions.begin() as session:
        assert retry_study(session, reported.order(), reported.context).job_id
    reported.run(reported.job())
    assert sum(one.destination == "new" for one in reported.deliveries()) >= 3
