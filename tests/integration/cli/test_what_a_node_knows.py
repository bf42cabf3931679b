"""Tests of `status`, `study list`, `study show` and the actions on a study, with a real database."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage
from sqlalchemy import text, update

from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.bootstrap import build_node
from glam_node.node.db import audit, priors
from glam_node.node.db.tables import EventRow, StudyRow
from glam_node.node.domain.archived import ArchivedStudy
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.prior import PriorPlan, SearchState
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.assemble.completion import close_complete_studies
from glam_node.settings.load import load_settings
from tests.builders import NOW
from tests.command_line import glam_node
from tests.integration.cli.conftest import Site
from tests.unit.workflow.workbench import Archive, Workbench, down, unsupported


def reported(site: Site, exam: list[Dataset]) -> str:
    """Return the UID of a study whose results are delivered."""
    site.bench.run(site.bench.submitted(*exam))
    site.bench.deliver(Archive())
    return str(exam[0].StudyInstanceUID)


def failed(site: Site, exam: list[Dataset]) -> str:
    """Return the UID of a study whose results the archive rejects."""
    site.bench.run(site.bench.submitted(*exam))
    site.bench.deliver(Archive(answer=unsupported))
    return str(exam[0].StudyInstanceUID)


def test_study_list_says_that_no_study_was_received(site: Site) -> None:
    assert "has received no study yet" in glam_node("--settings", site.settings_path, "study", "list").stdout


def test_study_list_shows_state_views_and_reason(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    told = glam_node("--settings", site.settings_path, "study", "list").stdout
    for words in (uid, "REPORTED", "R CC, L CC, R MLO, L MLO"):
        assert words in told


@pytest.mark.features("glam-node study list")
def test_study_list_prints_json(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    (study,) = json.loads(glam_node("--settings", site.settings_path, "study", "list", "--json").stdout)
    assert (study["study_instance_uid"], study["state"], study["instance_count"]) == (uid, "REPORTED", 4)


def test_study_show_prints_every_step_with_its_time(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    told = glam_node("--settings", site.settings_path, "study", "show", uid).stdout
    for words in (
        "R MLO",
        "SUCCEEDED",
        "malignant_score",
        "UNTRAINED",
        "SEG",
        "SR",
        "STORED",
        "job_started",
        "after ms",
    ):
        assert words in told


@pytest.mark.features("glam-node study show")
def test_study_show_prints_json(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    study = json.loads(glam_node("--settings", site.settings_path, "study", "show", uid, "--json").stdout)
    assert [job["state"] for job in study["jobs"]] == ["SUCCEEDED"]
    assert len(study["instances"]) == len(study["scores"]) == 4
    assert [event["event"] for event in study["timeline"]][-1] == "result_stored"


def test_an_unknown_study_is_exit_code_2(site: Site) -> None:
    for command in ("show", "retry", "resend", "hold", "release"):
        assert (
            "no study 1.2.3" in glam_node("--settings", site.settings_path, "study", command, "1.2.3", expect=2).stderr
        )


@pytest.mark.parametrize(
    "arguments",
    [["study", "list"], ["study", "list", "--json"], ["study", "show"], ["study", "show", "--json"], ["status"]],
)
def test_no_command_prints_patient_data(site: Site, exam: list[Dataset], arguments: list[str]) -> None:
    uid = failed(site, exam)
    words = [*arguments, *([uid] if "show" in arguments else [])]
    expect = 1 if arguments == ["status"] else 0
    told = glam_node("--settings", site.settings_path, *words, expect=expect).output
    assert uid in told or arguments == ["status"]
    for secret in (str(exam[0].PatientName), exam[0].PatientID, exam[0].PatientBirthDate, exam[0].AccessionNumber):
        assert secret not in told


@pytest.mark.features("glam-node status")
def test_status_counts_studies_and_deliveries(site: Site, exam: list[Dataset]) -> None:
    reported(site, exam)
    told = glam_node("--settings", site.settings_path, "status").stdout
    assert "1 REPORTED" in told
    assert "destinations.archive" in told
    assert "STORED" in told


def test_status_shows_how_long_work_waits(site: Site, exam: list[Dataset]) -> None:
    site.bench.run(site.bench.submitted(*exam))
    site.bench.deliver(Archive(answer=down))
    state = json.loads(glam_node("--settings", site.settings_path, "status", "--json").stdout)
    assert state["destinations"]["archive"]["PENDING"] == 5
    assert state["destinations"]["archive"]["oldest_pending_at"].startswith("2026-01-02")
    told = glam_node("--settings", site.settings_path, "status").stdout
    assert "the oldest has been waiting for" in told
    assert f"last delivery failed: {state['destinations']['archive']['last_failure']}" in told


def test_status_says_what_to_do_about_studies_that_the_demonstration_left_out(site: Site, exam: list[Dataset]) -> None:
    reported(site, exam)
    with site.bench.sessions.begin() as session:
        left_out = {
            "state": StudyState.INELIGIBLE,
            "rule": "demonstration_package",
            "last_received_at": datetime.now(UTC),
        }
        session.execute(update(StudyRow).values(left_out))
    told = glam_node("--settings", site.settings_path, "status").stdout
    for words in (
        "not analysed  1 study in the last day by demonstration_package: such studies are of patients",
        "demonstration_package",
        "Set inference.package",
    ):
        assert words in told


def test_a_study_that_was_analysed_without_a_view_is_marked(site: Site, exam: list[Dataset]) -> None:
    black = deepcopy(exam)
    black[1].PixelData = bytes(len(black[1].PixelData))
    uid = reported(site, black)
    with site.bench.sessions.begin() as session:
        session.execute(update(EventRow).values(at=datetime.now(UTC)))
    lacks = "1 of 4 views not analysed"
    for command in (["status"], ["study", "list"], ["study", "show", uid]):
        told = glam_node("--settings", site.settings_path, *command).stdout
        assert lacks in " ".join(told.split()), told
    state = json.loads(glam_node("--settings", site.settings_path, "status", "--json").stdout)
    assert state["incomplete"] == {uid: lacks}


def test_the_demonstration_package_does_not_hide_the_views_that_arrived(tmp_path: Path, exam: list[Dataset]) -> None:
    (tmp_path / "node.toml").write_text(f'storage.root = "{tmp_path / "root"}"\n')
    node = build_node(load_settings(tmp_path / "node.toml", {}))
    bench = Workbench(node.sessions, node.store, ThresholdPredictor(ThresholdPredictor.built_in_package()))
    for image in exam:
        image.Manufacturer = image.ManufacturerModelName = "of a machine"
    bench.receive(*exam)
    with node.sessions.begin() as session:
        close_complete_studies(session, bench.clock() + timedelta(seconds=61), node.assembly_policy)
    told = glam_node("--settings", tmp_path / "node.toml", "study", "list").stdout
    assert "R CC, L CC, R MLO, L MLO received, sender quiet for 61 s" in " ".join(told.split())
    assert "no standard view" not in told


def test_status_is_exit_code_1_when_something_was_given_up(site: Site, exam: list[Dataset]) -> None:
    failed(site, exam)
    assert "ABANDONED" in glam_node("--settings", site.settings_path, "status", expect=1).stdout


def test_status_names_the_reason_of_a_kind_that_was_given_up_while_others_are_stored(
    site: Site, exam: list[Dataset]
) -> None:
    site.bench.run(site.bench.submitted(*exam))
    site.bench.deliver(
        Archive(answer=lambda one: unsupported(one) if one.sop_class_uid == SegmentationStorage else None)
    )
    told = glam_node("--settings", site.settings_path, "status", expect=1).stdout
    assert "4 ABANDONED, 1 STORED" in told
    assert "last delivery failed: ARCHIVE does not take the SOP class." in told


def test_study_show_says_what_to_do_about_images_of_two_patients(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    with site.bench.sessions.begin() as session:
        session.execute(
            update(StudyRow).values(state=StudyState.INELIGIBLE, rule="two_patients", reason="They differ.")
        )
    assert (
        "`glam-node study show UID` shows what"
        in glam_node("--settings", site.settings_path, "status", expect=1).stdout
    )
    told = glam_node("--settings", site.settings_path, "study", "show", uid).stdout
    assert "correct the wrong ones there, and send all images of the study again" in " ".join(told.split())


def test_status_leaves_out_refusals_of_peers_that_the_settings_admit_by_now(site: Site) -> None:
    detail: EventDetail = {"calling_ae_title": "MG1", "called_ae_title": "GLAMNODE", "address": "10.0.0.7"}
    detail |= {"reason": "unknown peer", "rejection": [1, 1, 3]}
    with site.bench.sessions.begin() as session:
        audit.record(session, EventKind.ASSOCIATION_REJECTED, NOW, **detail)
    assert "unknown peer" in glam_node("--settings", site.settings_path, "status").stdout
    admit = "\n[peers.mg]\nae_title = 'MG1'\n"
    site.settings_path.write_text(site.settings_path.read_text() + admit)
    assert "unknown peer" not in glam_node("--settings", site.settings_path, "status").stdout


def test_status_shows_the_settings_that_would_admit_a_refused_peer(site: Site) -> None:
    remedy = 'peers.mg1 = { ae_title = "MG1", hosts = ["10.0.0.9"] }'
    with site.bench.sessions.begin() as session:
        audit.record(
            session, EventKind.ASSOCIATION_REJECTED, NOW, reason="'MG1' is not one of the peers", remedy=remedy
        )
    told = glam_node("--settings", site.settings_path, "status").stdout
    assert "association_rejected 2026-01-02 10:15:00 UTC: 'MG1' is not one of the peers" in told
    assert f"to admit it: {remedy}" in told


@pytest.mark.features("glam-node study retry")
def test_retry_sends_abandoned_results_again(site: Site, exam: list[Dataset]) -> None:
    uid = failed(site, exam)
    assert "5 results will be sent again" in glam_node("--settings", site.settings_path, "study", "retry", uid).stdout
    site.bench.clock.turn(10**9)
    assert site.bench.deliver(Archive()) == 5


def test_retry_says_that_nothing_failed(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    assert "nothing to retry" in glam_node("--settings", site.settings_path, "study", "retry", uid).stdout
    assert site.bench.job().state is JobState.SUCCEEDED


@pytest.mark.features("glam-node study hold", "glam-node study release", "glam-node study set-aside")
def test_a_study_is_held_set_aside_and_released(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    on = ("--settings", site.settings_path)
    assert "The study is held" in glam_node(*on, "study", "hold", uid, "--reason", "a prior is awaited").stdout
    assert "REPORTED, HELD" in glam_node(*on, "study", "list").stdout
    assert (
        "is held (a prior is awaited) already: nothing was done"
        in glam_node(*on, "study", "hold", uid, expect=1).stderr
    )
    assert "Release it first" in glam_node(*on, "study", "retry", uid, expect=1).stderr
    assert "no work is done on it" in glam_node(*on, "study", "set-aside", uid, "--reason", "not needed").stdout
    assert "its work continues" in glam_node(*on, "study", "release", uid).stdout
    assert "neither held nor set aside" in glam_node(*on, "study", "release", uid, expect=1).stderr
    with site.bench.sessions() as session:
        told = [event.detail for event in audit.timeline(session, uid)][-3:]
    assert all(one["account"].startswith("os:") and one["address"] for one in told)


@pytest.mark.features("glam-node study resend")
def test_results_are_sent_again_on_demand(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    on = ("--settings", site.settings_path, "study", "resend", uid)
    assert "was given up" in glam_node(*on, expect=1).stderr
    assert "Configured destinations: archive." in glam_node(*on, "--destination", "x", expect=1).stderr
    assert "results will be sent to archive again" in glam_node(*on, "--destination", "archive", "--stored").stdout


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        ("0016", "of an older version of glam-node. `glam-node serve` upgrades it."),
        ("9999", "newer version"),
        ("", "no database"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_apart_by_its_version(site: Site, revision: str, told: str) -> None:
    with site.bench.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    assert told in glam_node("--settings", site.settings_path, "status", expect=1).stderr


def test_status_says_who_waits_for_prior_exams_and_why_they_came_too_late(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    plan = PriorPlan("rules.all", "pacs", 1, 365, 60.0, analyse=True, send=False)
    with site.bench.sessions.begin() as session:
        priors.open_search(session, uid, plan, datetime.now(UTC))
    assert "prior exams  1 study waiting for them" in glam_node("--settings", site.settings_path, "status").stdout
    with site.bench.sessions.begin() as session:
        priors.set_searched(session, uid, "PACS does not answer.", is_searched=False)
        priors.close(session, uid, SearchState.EXPIRED)
    told = glam_node("--settings", site.settings_path, "status").stdout
    assert "waiting for them" not in told
    assert "prior exams  too late for 1 study in the last day" in told
    assert "1 study: PACS does not answer." in told
    state = json.loads(glam_node("--settings", site.settings_path, "status", "--json").stdout)
    assert state["priors"] == {"waiting": 0, "late": {uid: "PACS does not answer."}}


def test_a_prior_exam_names_the_study_that_it_was_fetched_for(site: Site, exam: list[Dataset]) -> None:
    uid = reported(site, exam)
    plan = PriorPlan("rules.all", "pacs", 1, 365, 60.0, analyse=True, send=False)
    with site.bench.sessions.begin() as session:
        session.execute(update(StudyRow).values(state=StudyState.RETIRED))
        priors.open_search(session, "1.2.3", plan, NOW)
        priors.add_found(session, "1.2.3", [ArchivedStudy(uid, study_date="20230405")])
        session.flush()
        assert priors.begin_fetch(session, "1.2.3", uid)
    told = glam_node("--settings", site.settings_path, "study", "show", uid).stdout
    assert "Fetched as a prior exam of study 1.2.3" in told
