"""Actions on pages, over real HTTP: confirmed first, done once, recorded, and only with the right."""

import io
import re
import shutil
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pydicom
import pytest
from pydicom.dataset import Dataset

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.app import create_console
from glam_node.node.console.identity_access_log import SAME_ACCESS
from glam_node.node.db import audit, audit_messages, conflicts, deliveries, studies
from glam_node.node.db.tables import StudyRow
from glam_node.node.domain.account import Role
from glam_node.node.domain.conflict import Conflict
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.study import Standing
from glam_node.node.domain.words import person_name
from glam_node.node.storage.files import write_durably
from glam_node.node.workflow.operate.accounts import new_account, remove_account, set_account
from glam_node.node.workflow.operate.standing import hold
from glam_node.node.workflow.record.audit_trail import write_audit_messages
from glam_node.settings.destinations import FolderSettings
from tests.builders import NOW
from tests.command_line import glam_node
from tests.integration import archive as dicom
from tests.integration.console.acts.conftest import PASSWORD, form, signed_in, standing
from tests.integration.console.browser import Browser, listening
from tests.unit.workflow.workbench import Archive, Workbench

LARGE_BYTES = 2**26
"""The size of a result that is much larger than the memory of a request."""


@pytest.fixture
def anna(port: int) -> Browser:
    return signed_in(port, "anna")


def told(node: Node, event: str) -> list[dict[str, Any]]:
    """Return the details of the recorded events."""
    with node.sessions() as session:
        return [dict(one.detail) for one in audit.recent(session, EventKind(event), 100)]


def act(browser: Browser, uid: str, verb: str, **fields: str) -> tuple[int, str]:
    """Confirm and carry out an action."""
    return browser.ask(f"/studies/{uid}/acts/{verb}", form(browser, uid, verb, **fields))


def verbs(page: str) -> list[str]:
    return re.findall(r"/acts/([a-z-]+)\"", page)


def test_a_study_is_held_and_released_by_its_buttons(node: Node, anna: Browser, uid: str) -> None:
    assert verbs(anna.ask(f"/studies/{uid}")[1]) == ["retry", "resend", "hold", "set-aside"]
    status, page = act(anna, uid, "hold", reason="a prior is awaited")
    assert (status, "Hold: the study is held" in page) == (200, True)
    assert "a prior is awaited" in page
    assert verbs(page) == ["set-aside", "release"]
    assert standing(node, uid) is Standing.HELD
    assert "Hold: the study is held" not in anna.ask(f"/studies/{uid}")[1]
    (event,) = told(node, "study_held")
    assert (event["account"], event["address"], event["reason"]) == ("anna", "127.0.0.1", "a prior is awaited")
    assert "its work continues" in act(anna, uid, "release")[1]
    assert standing(node, uid) is Standing.FREE


def test_the_consequence_is_shown_before_an_action(node: Node, anna: Browser, uid: str) -> None:
    page = anna.ask(f"/studies/{uid}/acts/set-aside")[1]
    assert "All work on the study stops" in page
    assert uid in page
    assert standing(node, uid) is Standing.FREE


def test_results_are_sent_again_to_the_chosen_destination(bench: Workbench, anna: Browser, reported: str) -> None:
    uid = reported
    page = anna.ask(f"/studies/{uid}/acts/resend")[1]
    assert "archive: 2 given up, 0 delivered" in page
    assert "2 results will be sent to archive again" in act(anna, uid, "resend", destination="archive")[1]
    archive = Archive()
    assert bench.deliver(archive) == 2
    status, page = act(anna, uid, "resend", destination="archive")
    assert (status, "was given up" in page) == (409, True)
    act(anna, uid, "resend", destination="archive", stored="yes")
    bench.deliver(archive)
    assert len(archive.received) == 4


def sent_again(bench: Workbench, uid: str) -> None:
    """Record a newer version of one image, in which another peer corrected the patient."""
    with bench.sessions.begin() as session:
        study = studies.get(session, uid)
        assert study is not None
        known = study.instances[0]
        path = f"conflicts/{known.sop_instance_uid}-{'1' * 16}.dcm"
        write_durably(bench.store.resolve(path), bench.store.resolve(known.path).read_bytes())
        newer = replace(known, path=path, blake3="1" * 64, identity=identity_of({"PatientID": "SECRET"}, uid))
        conflicts.add(session, Conflict(newer, StudyAttributes("SECRET"), uid, ("patient",)))


def test_newer_images_are_shown_and_taken_with_a_reason(
    node: Node, bench: Workbench, anna: Browser, reported: str
) -> None:
    assert "Images in doubt" not in anna.ask("/")[1]
    sent_again(bench, reported)
    overview = anna.ask("/")[1]
    assert "Images in doubt: 1 study needs a person" in overview
    page = anna.ask(f"/studies/{reported}")[1]
    assert "they state another patient" in page
    assert verbs(page) == ["retry", "resend", "hold", "set-aside", "take-newer", "keep-first"]
    assert act(anna, reported, "take-newer")[0] == 409
    done = act(anna, reported, "take-newer", reason="corrected")[1]
    assert "Take newer images: 1 image replaced by the newer version" in done
    assert "SECRET" not in overview + page + done
    (event,) = told(node, "newer_taken")
    assert (event["account"], event["reason"], event["images"]) == ("anna", "corrected", 1)
    assert "Images in doubt" not in anna.ask("/")[1]


def test_first_images_are_kept_with_a_reason(node: Node, bench: Workbench, anna: Browser, reported: str) -> None:
    sent_again(bench, reported)
    assert "the first version of" in act(anna, reported, "keep-first", reason="the first is right")[1]
    assert [event["account"] for event in told(node, "newer_left")] == ["anna"]
    assert "they state another patient" not in anna.ask(f"/studies/{reported}")[1]


def test_abandoned_results_are_retried(bench: Workbench, anna: Browser, reported: str) -> None:
    assert "2 results will be sent again" in act(anna, reported, "retry")[1]
    assert bench.deliver(Archive()) == 2


def test_setting_aside_requires_a_reason(node: Node, anna: Browser, uid: str) -> None:
    assert 'name="reason" maxlength="200" autocomplete="off" required' in anna.ask(f"/studies/{uid}/acts/set-aside")[1]
    status, page = act(anna, uid, "set-aside")
    assert (status, "Enter a reason for setting the study aside" in page) == (409, True)
    assert standing(node, uid) is Standing.FREE


def test_the_same_form_twice_acts_once(node: Node, anna: Browser, uid: str) -> None:
    fields = form(anna, uid, "hold")
    for _ in range(2):
        status, page = anna.ask(f"/studies/{uid}/acts/hold", fields)
        assert (status, "Hold: the study is held" in page) == (200, True)
    assert len(told(node, "study_held")) == 1


def test_a_form_that_was_changed_after_it_was_sent_is_not_taken_for_the_same(
    node: Node, anna: Browser, reported: str
) -> None:
    fields = form(anna, reported, "resend")
    assert (
        "sent to archive again" in anna.ask(f"/studies/{reported}/acts/resend", {**fields, "destination": "archive"})[1]
    )
    for verb, changed in (("resend", {"destination": "other"}), ("hold", {})):
        status, page = anna.ask(f"/studies/{reported}/acts/{verb}", {**fields, **changed})
        assert (status, "has changed since the page was made" in page) == (409, True)


def test_the_same_form_at_once_acts_once(node: Node, anna: Browser, uid: str) -> None:
    fields = form(anna, uid, "retry")
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: anna.ask(f"/studies/{uid}/acts/retry", fields)[0], range(4)))
    assert answers == [200] * 4
    assert len(told(node, "retry_requested")) == 1


def test_a_form_that_failed_can_be_sent_again(node: Node, anna: Browser, uid: str) -> None:
    fields = form(anna, uid, "set-aside")
    assert anna.ask(f"/studies/{uid}/acts/set-aside", fields)[0] == 409
    assert anna.ask(f"/studies/{uid}/acts/set-aside", {**fields, "reason": "not needed"})[0] == 200
    assert standing(node, uid) is Standing.SET_ASIDE


def test_a_form_of_an_outdated_page_does_nothing(node: Node, bench: Workbench, anna: Browser, uid: str) -> None:
    fields = form(anna, uid, "set-aside", reason="not needed")
    with node.sessions.begin() as session:
        hold(session, bench.order("somebody was faster"))
    status, page = anna.ask(f"/studies/{uid}/acts/set-aside", fields)
    assert (status, "has changed since the page was made" in page) == (409, True)
    assert "it is RECEIVING, HELD" in page
    assert standing(node, uid) is Standing.HELD
    stale = f"/studies/{uid}/acts/set-aside?version={fields['version']}"
    status, page = anna.ask(stale, accept="text/html")
    assert (status, "Nothing was done" in page) == (409, True)
    assert f'<a href="/studies/{uid}">' in page


def test_a_form_of_an_ended_session_does_nothing(node: Node, bench: Workbench, anna: Browser, uid: str) -> None:
    fields = form(anna, uid, "hold", reason="a prior is awaited")
    bench.clock.turn(1800.0)
    page = anna.ask(f"/studies/{uid}/acts/hold", fields)[1]
    assert "Nothing was done. Sign in again." in page
    assert standing(node, uid) is Standing.FREE
    assert told(node, "study_held") == []


def test_an_action_that_is_not_possible_is_refused(anna: Browser, uid: str) -> None:
    status, page = anna.ask(f"/studies/{uid}/acts/release")
    assert (status, "is not possible" in page) == (409, True)


@pytest.mark.parametrize("path", ["/studies/1.2.3/acts/hold", "/studies/{uid}/acts/burn", "/studies/{uid}/acts/hold/x"])
def test_a_missing_page_is_not_found(anna: Browser, uid: str, path: str) -> None:
    assert anna.ask(path.format(uid=uid))[0] == 404


@pytest.mark.parametrize("name", ["bert", "carl"])
def test_a_viewer_may_look_and_not_act(node: Node, port: int, uid: str, name: str) -> None:
    browser = signed_in(port, name)
    assert verbs(browser.ask(f"/studies/{uid}")[1]) == []
    assert browser.ask(f"/studies/{uid}/acts/hold")[0] == 403
    token = browser.form_token("/")
    status, page = browser.ask(f"/studies/{uid}/acts/hold", {"form_token": token})
    assert (status, "role operator" in page) == (403, True)
    assert browser.ask("/destinations/archive/echo", {"form_token": token})[0] == 403
    assert standing(node, uid) is Standing.FREE
    assert {one["account"] for one in told(node, "act_refused")} == {name}
    assert len(told(node, "act_refused")) == 2
    assert {one["failure"] for one in told(node, "act_refused")} == {"the account does not have the role operator"}


def test_an_account_without_its_former_role_cannot_act(node: Node, anna: Browser, uid: str) -> None:
    fields = form(anna, uid, "hold")
    with node.sessions.begin() as session:
        set_account(session, new_account("anna", Role.VIEWER, PASSWORD), NOW)
    assert "<h1>Sign in</h1>" in anna.ask(f"/studies/{uid}/acts/hold", fields)[1]
    assert standing(node, uid) is Standing.FREE


def test_people_at_the_machine_may_look_and_not_act_while_there_is_no_account(node: Node, port: int, uid: str) -> None:
    with node.sessions.begin() as session:
        for name in ("anna", "bert", "carl"):
            remove_account(session, name, NOW)
    browser = Browser(port)
    page = browser.ask(f"/studies/{uid}")[1]
    assert verbs(page) == []
    assert "glam-node console user add NAME --role operator" in page
    assert browser.ask(f"/studies/{uid}/acts/hold")[0] == 403
    assert browser.ask(f"/studies/{uid}/acts/hold", {"form_token": "x"})[0] == 403
    assert browser.ask(f"/studies/{uid}/patient", {"form_token": "x"})[0] == 403


@pytest.mark.parametrize("path", ["/studies/{uid}/acts/hold", "/studies/{uid}/patient", "/destinations/archive/echo"])
@pytest.mark.parametrize("form_token", ["", "0" * 64])
def test_a_form_of_another_site_does_nothing(node: Node, anna: Browser, uid: str, path: str, form_token: str) -> None:
    assert anna.ask(path.format(uid=uid), {"form_token": form_token, "reason": "x"})[0] == 403
    assert standing(node, uid) is Standing.FREE
    assert told(node, "destination_asked") == told(node, "identity_shown") == []


@pytest.mark.parametrize("path", ["/studies/{uid}/acts/hold", "/studies/{uid}/patient", "/destinations/archive/echo"])
def test_an_action_without_a_session_leads_to_the_sign_in_form(port: int, uid: str, path: str) -> None:
    assert "<h1>Sign in</h1>" in Browser(port).ask(path.format(uid=uid), {"form_token": "x"})[1]


def test_a_failed_c_echo_to_a_destination_is_shown(node: Node, anna: Browser) -> None:
    status, page = anna.ask("/destinations/archive/echo", {"form_token": anna.form_token("/")})
    assert (status, "C-ECHO to archive" in page) == (200, True)
    assert re.search(r'class="note bad flash" role="alert">C-ECHO to archive, \d+ ms: .*refused', page)
    (event,) = told(node, "destination_asked")
    assert (event["account"], event["ok"]) == ("anna", False)


def test_a_successful_c_echo_to_a_destination_is_shown(node: Node, anna: Browser) -> None:
    port = node.settings.archives["archive"].port
    with dicom.listening(dicom.Archive(port=port)):
        page = anna.ask("/destinations/archive/echo", {"form_token": anna.form_token("/")})[1]
    assert "answers to" in page
    assert told(node, "destination_asked")[0]["ok"]


def test_a_folder_is_checked_by_a_test_file_and_no_c_echo(node: Node, tmp_path: Path) -> None:
    trial = FolderSettings(kind="folder", path=tmp_path / "trial")
    changed = build_node(node.settings.model_copy(update={"destinations": {"trial": trial}}))
    with listening(create_console(changed, "127.0.0.1", now=lambda: NOW)) as port:
        anna = signed_in(port, "anna")
        assert '<button aria-label="Send a test file to trial">test file</button>' in anna.ask("/destinations")[1]
        page = anna.ask("/destinations/trial/echo", {"form_token": anna.form_token("/")})[1]
    assert re.search(rf"Test file to trial, \d+ ms: Folder {trial.path} accepts results", page)
    changed.sessions.kw["bind"].dispose()
    assert "C-ECHO" not in page
    assert not trial.path.exists()


def test_waiting_results_are_sent_when_a_person_asks(node: Node, anna: Browser) -> None:
    page = anna.ask("/destinations/archive/send", {"form_token": anna.form_token("/")})[1]
    assert "will be sent to archive now" in page
    (event,) = told(node, "send_requested")
    assert (event["account"], event["destination"]) == ("anna", "archive")
    assert anna.ask("/destinations/nowhere/send", {"form_token": anna.form_token("/")})[0] == 404


def test_a_destination_that_is_not_configured_gets_no_c_echo(anna: Browser) -> None:
    assert anna.ask("/destinations/nowhere/echo", {"form_token": anna.form_token("/")})[0] == 404


def test_the_patient_is_shown_to_accounts_with_the_right_after_an_audit_record(
    node: Node, bench: Workbench, port: int, exam: list[Dataset]
) -> None:
    bench.receive(exam[0])
    uid = exam[0].StudyInstanceUID
    browser = signed_in(port, "carl")
    status, page = browser.ask(f"/studies/{uid}/patient", {"form_token": browser.form_token("/")})
    assert status == 200
    for value in (person_name(str(exam[0].PatientName)), exam[0].PatientID, exam[0].AccessionNumber):
        assert value in page
    assert told(node, "identity_shown") == [{"account": "carl", "address": "127.0.0.1"}] * 2  # in the list, and here


def test_a_page_that_refreshes_itself_is_one_access(node: Node, bench: Workbench, port: int, uid: str) -> None:
    browser = signed_in(port, "carl")
    for path in ("/", f"/studies/{uid}"):
        assert "accession" in browser.ask(path)[1].lower()
        browser.ask(path, live=True)
    assert len(told(node, "identity_shown")) == 1
    bench.clock.turn(SAME_ACCESS.total_seconds())
    browser.ask(f"/studies/{uid}", live=True)
    assert len(told(node, "identity_shown")) == 2
    signed_in(port, "bert").ask(f"/studies/{uid}")
    assert len(told(node, "identity_shown")) == 2


def test_an_operator_without_the_right_does_not_see_the_patient(node: Node, anna: Browser, uid: str) -> None:
    assert "Show patient" not in anna.ask(f"/studies/{uid}")[1]
    assert anna.ask(f"/studies/{uid}/patient", {"form_token": anna.form_token("/")})[0] == 403
    assert told(node, "identity_shown") == []
    assert told(node, "act_refused")[0]["account"] == "anna"


def test_only_the_patient_id_is_shown_when_the_images_are_removed(
    node: Node, bench: Workbench, port: int, uid: str
) -> None:
    path = next(node.store.resolve(one.path) for one in bench.study().instances)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no DICOM file any more")
    browser = signed_in(port, "carl")
    page = browser.ask(f"/studies/{uid}/patient", {"form_token": browser.form_token("/")})[1]
    assert "no longer stored" in page
    assert "<dd>P1</dd>" in page


def test_every_action_is_in_the_audit_trail(node: Node, anna: Browser, uid: str, tmp_path: Path) -> None:
    act(anna, uid, "hold", reason="a prior is awaited")
    act(anna, uid, "release")
    anna.ask("/destinations/archive/echo", {"form_token": anna.form_token("/")})
    write_audit_messages(node.sessions, node.reporting, node.store, NOW)
    with node.sessions() as session:
        messages = [one.message.decode() for one in audit_messages.recent(session, 100)]
    by_anna = [one for one in messages if 'UserID="anna"' in one and 'NetworkAccessPointID="127.0.0.1"' in one]
    assert len(by_anna) == 4  # signed in, held, released, asked
    settings = tmp_path / "node.toml"
    settings.write_text(f"storage.root = '{node.store.root}'\n")
    shown = glam_node("audit", "show", "--settings", settings).stdout
    assert re.search(rf"Procedure Record.*anna.*{re.escape(uid)}.*held: a prior is awaited", shown)
    assert re.search(r"Use of Restricted Function.*anna.*archive", shown)


def test_retry_all_retries_every_study_with_something_given_up(
    bench: Workbench, node: Node, anna: Browser, reported: str
) -> None:
    page = anna.ask("/?attention=given_up")[1]
    assert "1 given up" in page
    (token,) = set(re.findall(r'name="form_token" value="([^"]*)"', page))
    status, page = anna.ask("/acts/retry-given-up", {"form_token": token, "reason": "the archive is back"})
    assert (status, "Retry all: 1 study will be retried." in page) == (200, True)
    (event,) = told(node, "retry_requested")
    assert (event["account"], event["reason"]) == ("anna", "the archive is back")
    assert bench.deliver(Archive()) == 2


def test_a_viewer_cannot_retry_all(node: Node, port: int, reported: str) -> None:
    bert = signed_in(port, "bert")
    page = bert.ask("/?attention=given_up")[1]
    assert "Retry all" not in page
    (token,) = set(re.findall(r'name="form_token" value="([^"]*)"', page))
    assert bert.ask("/acts/retry-given-up", {"form_token": token})[0] == 403
    assert told(node, "retry_requested") == []


def test_the_list_is_searched_by_patient_only_with_the_right_to_see_patients(
    node: Node, port: int, reported: str
) -> None:
    with node.sessions.begin() as session:
        row = session.get_one(StudyRow, reported)
        row.patient_id, row.study_date = "P 1/x", "20260131"
    address = f"/?patient={quote('P 1/x')}"
    carl, bert = signed_in(port, "carl"), signed_in(port, "bert")
    assert "1 study found" in carl.ask(address)[1]
    assert "No study matches." in carl.ask("/?patient=nobody")[1]
    assert "1 study found" in carl.ask("/?study_date=2026-01-31")[1]
    assert "Patient ID" not in bert.ask("/")[1]
    assert "1 study recorded" in bert.ask("/?patient=nobody")[1]


def test_the_downloaded_list_has_identities_only_with_the_right_to_see_patients(
    node: Node, port: int, reported: str
) -> None:
    with node.sessions.begin() as session:
        session.get_one(StudyRow, reported).patient_id = "=1+1"
    tables = {name: signed_in(port, name).ask("/studies.csv?attention=given_up")[1] for name in ("bert", "carl")}
    for table in tables.values():
        header, row = table.splitlines()
        assert header.startswith("study_instance_uid,state,delivery,")
        assert row.startswith(f"{reported},REPORTED,ABANDONED,")
    assert "=1+1" not in tables["bert"]
    assert ",'=1+1," in tables["carl"]
    assert len(told(node, "identity_shown")) == 1


def test_the_summary_names_the_patient_only_with_the_right_to_see_patients(
    node: Node, port: int, exam: list[Dataset], reported: str
) -> None:
    address = f"/studies/{reported}/summary"
    name = person_name(str(exam[1].PatientName))
    status, hidden = signed_in(port, "bert").ask(address)
    assert status == 200
    assert "All algorithms succeeded" in hidden
    assert not any(value in hidden for value in (name, exam[1].PatientID, exam[1].AccessionNumber))
    assert told(node, "identity_shown") == []
    page = signed_in(port, "carl").ask(address)[1]
    assert all(value in page for value in (name, exam[1].PatientID, exam[1].AccessionNumber))
    assert told(node, "identity_shown") == [{"account": "carl", "address": "127.0.0.1"}] * 2  # in the list, and here


def test_a_visitor_without_an_account_gets_neither_the_summary_nor_its_pictures(
    node: Node, port: int, exam: list[Dataset], reported: str
) -> None:
    anybody = Browser(port)
    for path in ("summary", f"{exam[1].SOPInstanceUID}/outlined.png"):
        assert "Mammography analysis" not in anybody.ask(f"/studies/{reported}/{path}")[1]
        assert signed_in(port, "bert").open(f"/studies/{reported}/{path}").status == 200


def test_a_study_without_an_analysis_has_no_summary(bench: Workbench, anna: Browser, uid: str) -> None:
    status, page = anna.ask(f"/studies/{uid}/summary")
    assert status == 404
    assert "There is no summary of this study" in page
    assert "Summary to print" not in anna.ask(f"/studies/{uid}")[1]


def test_results_are_downloaded_only_with_the_right_to_see_patients(node: Node, port: int, reported: str) -> None:
    assert signed_in(port, "bert").ask(f"/studies/{reported}/results.zip")[0] == 403
    carl = signed_in(port, "carl")
    assert f"/studies/{reported}/results.zip" in carl.ask(f"/studies/{reported}")[1]
    with carl.open(f"/studies/{reported}/results.zip") as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as zipped:
        objects = [pydicom.dcmread(io.BytesIO(zipped.read(name))) for name in zipped.namelist()]
    assert sorted(one.Modality for one in objects) == ["SEG", "SR"]
    assert len(told(node, "identity_shown")) == 2


def test_a_download_never_holds_all_results_in_memory(
    node: Node, bench: Workbench, port: int, reported: str, tmp_path: Path
) -> None:
    with node.sessions() as session:
        path = node.store.resolve(deliveries.of_study(session, reported)[0].path)
    with path.open("r+b") as file:
        file.truncate(LARGE_BYTES)
    carl, received = signed_in(port, "carl"), tmp_path / "results.zip"
    tracemalloc.start()
    try:
        with carl.open(f"/studies/{reported}/results.zip") as answer, received.open("wb") as copy:
            shutil.copyfileobj(answer, copy)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < LARGE_BYTES / 4
    with zipfile.ZipFile(received) as zipped:
        assert zipped.testzip() is None
        assert zipped.getinfo(path.name).file_size == LARGE_BYTES


def test_operators_see_the_accounts_and_viewers_do_not(port: int) -> None:
    page = signed_in(port, "anna").ask("/accounts")[1]
    assert re.findall(r'data-label="Name">(\w+)<', page) == ["anna", "bert", "carl"]
    bert = signed_in(port, "bert")
    assert bert.ask("/accounts")[0] == 403
    assert "/accounts" not in bert.ask("/")[1]


def test_accounts_are_listed_on_the_command_line(node: Node) -> None:
    shown = glam_node("console", "user", "list", GLAM_NODE__STORAGE__ROOT=str(node.store.root)).stdout
    told = shown.splitlines()
    assert [line.split()[:2] for line in told] == [["anna", "operator"], ["bert", "viewer"], ["carl", "viewer"]]
    assert "sees patients" in told[2]
