"""Prior exams on the page of a study, in its summary and in the queue."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from glam_node.inference.findings_file import read_findings
from glam_node.node.db import jobs, priors
from glam_node.node.db.tables import JobRow
from glam_node.node.domain.archived import ArchivedStudy
from glam_node.node.domain.prior import PriorPlan, PriorState, SearchState
from glam_node.node.storage.findings import findings_path
from glam_node.node.workflow.analyse.prior_exams import compared_exam
from tests.integration.console.accessibility import serious
from tests.integration.console.lived_in import LivedIn

pytestmark = pytest.mark.peer("chromium")

SCREENSHOTS = Path(__file__).resolve().parents[3] / "artefacts" / "console"
WAITING = "Studies that wait for prior exams"
PLAN = PriorPlan("rules.screening", "pacs", 2, 1826, 300.0, analyse=True, send=False)


@pytest.fixture(scope="module", autouse=True)
def _with_priors(place: LivedIn) -> None:
    """Let the reported study have a prior exam and one of another person, and the running one wait for its own."""
    found = [ArchivedStudy("1.2.3", study_date="20230405"), ArchivedStudy("1.2.4", study_date="20210405")]
    with place.node.sessions.begin() as session:
        (job, *_) = jobs.of_study(session, place.reported)
        findings = read_findings(findings_path(place.node.store.root, job.job_id))
        session.get_one(JobRow, job.job_id).priors = [compared_exam(findings, findings, "20230405", []).as_json()]
        priors.open_search(session, place.reported, PLAN, place.clock() - timedelta(minutes=30))
        priors.add_found(session, place.reported, found)
        priors.set_searched(session, place.reported)
        priors.set_prior(session, place.reported, "1.2.3", PriorState.READY)
        reason = "not surely of the same patient: birth date differs, or is not stated"
        priors.set_prior(session, place.reported, "1.2.4", PriorState.UNUSABLE, reason)
        priors.close(session, place.reported, SearchState.DONE)
        priors.open_search(session, place.running, PLAN, place.clock())
        priors.set_searched(session, place.running, "PACS does not answer.", is_searched=False)


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """Open a tab."""
    context = chromium.new_context(base_url=address)
    yield context.new_page()
    context.close()


def shown(page: Page, path: str, name: str) -> Page:
    """Open a page, check that it is accessible, and keep a picture of it."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    assert serious(page) == []
    return page


def test_the_page_of_a_study_has_its_prior_exams_as_context(page: Page, place: LivedIn) -> None:
    panel = shown(page, f"/studies/{place.reported}", "prior-exams").get_by_role(
        "region", name="Prior exams", exact=True
    )
    for text in ("2023-04-05", "2021-04-05", "READY", "UNUSABLE", "not surely of the same patient", "not a diagnosis"):
        expect(panel).to_contain_text(text)
    expect(panel).to_contain_text("Prior exam of 2023-04-05: malignant")
    expect(panel).to_contain_text("(no change since then)")


def test_the_summary_has_the_sentences_about_prior_exams(page: Page, place: LivedIn) -> None:
    summary = shown(page, f"/studies/{place.reported}/summary", "prior-exams-summary")
    expect(summary.locator("body")).to_contain_text("Prior exam of 2023-04-05: malignant")
    expect(summary.locator("body")).to_contain_text("Earlier scores are context, not a diagnosis.")


def test_the_queue_shows_who_waits_for_prior_exams(page: Page, place: LivedIn) -> None:
    panel = shown(page, "/queue", "prior-exams-queue").get_by_role("region", name=WAITING, exact=True)
    for text in (place.running, "rules.screening", "pacs", "PACS does not answer."):
        expect(panel).to_contain_text(text)
    expect(panel).not_to_contain_text(place.reported)
