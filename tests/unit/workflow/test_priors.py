"""Prior exams: which are fetched, for how long an analysis waits, and what is compared."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import Mock

import pydicom
import pytest
from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.inference.phantom import make_exam
from glam_node.node.db import audit, backlog, deliveries, job_restarts, jobs, priors, studies
from glam_node.node.db.changes import mark_changed
from glam_node.node.db.tables import JobRow, PriorSearchRow, StudyRow
from glam_node.node.domain.account import Actor, Order
from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy, FoundStudies, StudyQuery, found_studies
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import InferenceJob, JobState, Priority
from glam_node.node.domain.ports import Accept
from glam_node.node.domain.prior import PriorPlan, PriorSearch, PriorState, SearchState
from glam_node.node.domain.routing import SiteRule
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.workflow.assemble.fetch_priors import AGAIN_AFTER, PriorFetcher, PriorSource
from glam_node.node.workflow.assemble.settle_priors import settle_priors
from glam_node.node.workflow.assemble.submit import PRIOR_ARRIVES_WITHIN
from glam_node.node.workflow.operate.resend import Selection, resend
from glam_node.node.workflow.receive.fetch_study import FetchOutcome
from glam_node.node.workflow.record import recent_scores
from glam_node.rules.grammar import parse
from tests.unit.workflow.workbench import ASSEMBLY, Workbench

PLAN = PriorPlan("rules.all", "pacs", 1, 6 * 365, 60.0, analyse=True, send=False)


def rule(**plan: Any) -> tuple[SiteRule, ...]:
    """Return one rule that fetches prior exams of every study."""
    return (SiteRule("all", parse("images > 0"), priors=replace(PLAN, **plan)),)


def exam_at(date: str, seed: int = 7, **elements: str) -> list[Dataset]:
    """Return four views of one patient at a date."""
    views = [
        view.dataset
        for view in make_exam(seed, rows=64, columns=48, lesions=[(FindingKind.MALIGNANT, Laterality.LEFT)])
    ]
    for view in views:
        view.PatientID, view.PatientBirthDate, view.PatientName = "P1", "19640203", "Testfrau^Anna"
        view.StudyDate, view.IssuerOfPatientID = date, "HOSPITAL"
        for keyword, value in elements.items():
            setattr(view, keyword, value)
    return views


@dataclass
class Pacs:
    """An archive with exams, which stores what is fetched at the workbench."""

    bench: Workbench
    exams: list[list[Dataset]] = field(default_factory=list)
    failure: Callable[[], None] = lambda: None
    queries: list[StudyQuery] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    name: str = "pacs"

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Return the exams that match by the keys that an archive compares."""
        self.queries.append(query)
        self.failure()
        answers = (
            ArchivedStudy(
                str(one[0].StudyInstanceUID),
                str(one[0].PatientID),
                "",
                str(one[0].StudyDate),
                ("MG",),
                4,
                str(one[0].get("IssuerOfPatientID", "")),
                str(one[0].get("PatientBirthDate", "")),
            )
            for one in self.exams
        )
        return found_studies(answers, query)

    def fetch(self, study: ArchivedStudy, tell: object = None) -> FetchOutcome:
        """Store the exam at the node."""
        del tell
        self.failure()
        self.fetched.append(study.study_instance_uid)
        (views,) = [one for one in self.exams if str(one[0].StudyInstanceUID) == study.study_instance_uid]
        take(self.bench, views)
        return FetchOutcome(study.study_instance_uid, 4, 4, 4, ())

    def list_series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        raise NotImplementedError

    def retrieve(
        self, study: ArchivedStudy, wanted: Sequence[ArchivedSeries], accept: Accept, on_progress: Callable[[], None]
    ) -> list[str]:
        raise NotImplementedError

    def check(self) -> str:
        raise NotImplementedError

    @contextmanager
    def opened(self, name: str) -> Iterator[PriorSource]:
        """Open the archive as a source."""
        assert name == "pacs"
        yield PriorSource(self, self)  # type: ignore[arg-type]


def take(bench: Workbench, views: Sequence[Dataset]) -> None:
    """Store an exam with the attributes of its study."""
    bench.receive(*views)
    with bench.sessions.begin() as session:
        row = session.get_one(StudyRow, str(views[0].StudyInstanceUID))
        row.patient_id, row.study_date = str(views[0].PatientID), str(views[0].StudyDate)
        row.issuer_of_patient_id = str(views[0].get("IssuerOfPatientID", ""))


@pytest.fixture
def pacs(bench: Workbench) -> Pacs:
    """Return an archive without exams."""
    bench.site = rule()
    return Pacs(bench)


@dataclass
class Dispatcher:
    """The part of the dispatcher that cares for prior exams."""

    bench: Workbench
    pacs: Pacs

    def __post_init__(self) -> None:
        self.fetcher = PriorFetcher(self.bench.sessions, self.bench.store, self.pacs.opened, self.bench.clock)

    def fetch(self) -> None:
        """Let the threads run to their end once, and settle."""
        self.fetcher.start_due()
        self.fetcher.wait()
        self.settle()

    def settle(self) -> int:
        with self.bench.sessions.begin() as session:
            return settle_priors(session, self.bench.clock())

    def run(self, uid: str) -> bool:
        """Run the newest job of a study, if it is due."""
        return self.bench.run(self.job(uid))

    def job(self, uid: str) -> InferenceJob:
        with self.bench.sessions() as session:
            found = jobs.newest(session, uid)
        assert found is not None
        return found

    def search(self, uid: str) -> PriorSearch:
        with self.bench.sessions() as session:
            found = priors.find(session, uid)
        assert found is not None
        return found

    def submit(self, views: Sequence[Dataset]) -> str:
        """Receive an exam, and return its UID after its judgement."""
        take(self.bench, views)
        self.judge()
        return str(views[0].StudyInstanceUID)

    def judge(self) -> None:
        self.bench.clock.turn(ASSEMBLY.settle_time_s + 1)
        self.bench.dispatch()


@pytest.fixture
def dispatcher(bench: Workbench, pacs: Pacs) -> Dispatcher:
    """Return the dispatcher of the workbench."""
    return Dispatcher(bench, pacs)


def compared(dispatcher: Dispatcher, pacs: Pacs, now: list[Dataset], *earlier: list[Dataset]) -> str:
    """Let the node analyse an exam with its prior exams, and return its UID."""
    pacs.exams = list(earlier)
    uid = dispatcher.submit(now)
    dispatcher.fetch()
    dispatcher.judge()
    for one in pacs.fetched:
        dispatcher.run(one)
    dispatcher.settle()
    assert dispatcher.run(uid)
    return uid


def reports(bench: Workbench, uid: str) -> list[Dataset]:
    """Return the measurement reports of a study."""
    found = [pydicom.dcmread(path) for path in sorted(bench.store.root.glob(f"results/{uid}/*.dcm"))]
    return [one for one in found if one.Modality == "SR"]


def test_an_analysis_waits_for_the_prior_exam_and_its_analysis(dispatcher: Dispatcher, pacs: Pacs) -> None:
    earlier = exam_at("20230405", 8)
    pacs.exams = [earlier]
    uid = dispatcher.submit(exam_at("20250405"))
    assert not dispatcher.run(uid)
    dispatcher.fetch()
    assert not dispatcher.run(uid)
    dispatcher.judge()
    (prior,) = pacs.fetched
    assert prior == earlier[0].StudyInstanceUID
    assert dispatcher.run(prior)
    assert dispatcher.settle() == 1
    assert dispatcher.search(uid).state is SearchState.DONE
    assert dispatcher.run(uid)
    (report,) = reports(dispatcher.bench, uid)
    assert [one.StudyInstanceUID for one in report.PertinentOtherEvidenceSequence] == [prior]
    (exam,) = dispatcher.job(uid).priors or ()
    assert (exam.study_date, exam.same_model) == ("20230405", True)
    assert exam.changes.keys() == {"benign", "malignant"}


def test_a_study_whose_patient_has_no_prior_exam_waits_only_for_the_answer(dispatcher: Dispatcher, pacs: Pacs) -> None:
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    assert dispatcher.search(uid).outcome() == (
        "0 of 1 prior exam to compare; sources.pacs and this node have none of this patient"
    )
    assert dispatcher.run(uid)
    assert len(pacs.queries) == 1
    assert dispatcher.job(uid).priors == ()


def test_a_study_without_a_rule_for_prior_exams_waits_for_nothing(dispatcher: Dispatcher, pacs: Pacs) -> None:
    dispatcher.bench.site = ()
    uid = dispatcher.submit(exam_at("20250405"))
    assert dispatcher.run(uid)
    dispatcher.fetch()
    assert not pacs.queries
    assert dispatcher.job(uid).priors is None


def test_results_without_a_prior_exam_are_the_same_bytes_as_without_the_rule(
    dispatcher: Dispatcher, pacs: Pacs
) -> None:
    assert not pacs.exams
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.run(uid)
    with_rule = {path.name: path.read_bytes() for path in dispatcher.bench.results().values()}
    job_id = dispatcher.job(uid).job_id
    with dispatcher.bench.sessions.begin() as session:
        session.delete(session.get_one(PriorSearchRow, uid))
        row = session.get_one(JobRow, job_id)
        mark_changed(session, [uid])
        row.priors, row.state, row.algorithm_version, row.written_for = None, JobState.PENDING, "", None
    for path in dispatcher.bench.results().values():
        path.unlink()
    dispatcher.run(uid)
    assert {path.name: path.read_bytes() for path in dispatcher.bench.results().values()} == with_rule


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientID": "P2"},
        {"PatientBirthDate": "19650203"},
        {"IssuerOfPatientID": "CLINIC"},
        {"StudyDate": "20250405"},
        {"StudyDate": "20260101"},
        {"StudyDate": "20100101"},
    ],
    ids=lambda one: " ".join(f"{name} {value}" for name, value in one.items()),
)
def test_an_exam_that_is_no_prior_exam_of_this_patient_is_not_fetched(
    elements: dict[str, str], dispatcher: Dispatcher, pacs: Pacs
) -> None:
    pacs.exams = [exam_at("20230405", 8, **elements)]
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    assert not pacs.fetched
    assert dispatcher.run(uid)
    assert dispatcher.job(uid).priors == ()


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientID", ""), ("PatientID", "UNKNOWN"), ("PatientBirthDate", ""), ("StudyDate", "")]
)
def test_a_study_that_does_not_name_its_patient_or_day_gets_no_prior_exam(
    keyword: str, value: str, dispatcher: Dispatcher, pacs: Pacs
) -> None:
    views, earlier = exam_at("20250405"), exam_at("20230405", 8)
    for view in (*views, *earlier) if keyword != "StudyDate" else views:
        setattr(view, keyword, value)
    pacs.exams = [earlier]
    uid = dispatcher.submit(views)
    dispatcher.fetch()
    assert not pacs.queries
    assert "the study states no" in dispatcher.search(uid).failure
    assert dispatcher.run(uid)


@pytest.mark.parametrize("elements", [{"PatientBirthDate": "19640204"}, {"PatientSex": "M"}, {"PatientName": "A^B"}])
def test_an_exam_whose_images_are_of_another_person_is_not_compared(
    elements: dict[str, str], dispatcher: Dispatcher, pacs: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive's answer is that of the patient; the images that it sends are not."""
    earlier = exam_at("20230405", 8)
    wrong = exam_at("20230405", 8, **elements)

    def fetch(self: Pacs, study: ArchivedStudy) -> FetchOutcome:
        take(self.bench, wrong)
        return FetchOutcome(study.study_instance_uid, 4, 4, 4, ())

    monkeypatch.setattr(Pacs, "fetch", fetch)
    pacs.exams = [earlier]
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    (prior,) = dispatcher.search(uid).priors
    assert prior.state is PriorState.UNUSABLE
    assert prior.failure.startswith("not surely of the same patient: ")
    assert dispatcher.run(uid)
    assert dispatcher.job(uid).priors == ()


def test_the_worker_compares_identities_again(dispatcher: Dispatcher, pacs: Pacs) -> None:
    pacs.exams = [exam_at("20230405", 8)]
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.judge()
    dispatcher.run(pacs.fetched[0])
    dispatcher.settle()
    for view in exam_at("20230405", 8, PatientBirthDate="19990101"):
        path = dispatcher.bench.store.resolve(f"instances/{view.StudyInstanceUID}/{view.SOPInstanceUID}.dcm")
        view.save_as(path, enforce_file_format=True)
    assert dispatcher.run(uid)
    assert dispatcher.job(uid).priors == ()


def test_an_archive_that_does_not_answer_costs_at_most_the_time_of_the_rule(dispatcher: Dispatcher, pacs: Pacs) -> None:
    def down() -> None:
        raise TransientError("PACS does not answer.")

    pacs.failure = down
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.fetch()
    assert len(pacs.queries) == 1
    dispatcher.bench.clock.turn(AGAIN_AFTER.total_seconds())
    dispatcher.fetch()
    assert len(pacs.queries) == 2
    assert not dispatcher.run(uid)
    dispatcher.bench.clock.turn(PLAN.wait_s)
    assert dispatcher.settle() == 1
    search = dispatcher.search(uid)
    assert (search.state, search.failure) == (SearchState.EXPIRED, "PACS does not answer.")
    assert dispatcher.run(uid)


def test_an_archive_that_refuses_costs_no_time(dispatcher: Dispatcher, pacs: Pacs) -> None:
    def refuse() -> None:
        raise PermanentError("PACS refuses.")

    pacs.failure = refuse
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    assert dispatcher.search(uid).outcome() == "0 of 1 prior exam to compare; PACS refuses."
    assert dispatcher.run(uid)


def test_the_wait_ends_even_if_the_dispatcher_does_not_run(dispatcher: Dispatcher) -> None:
    uid = dispatcher.submit(exam_at("20250405"))
    assert not dispatcher.run(uid)
    dispatcher.bench.clock.turn(PLAN.wait_s)
    assert dispatcher.run(uid)


def test_a_restarted_dispatcher_goes_on_with_the_search(dispatcher: Dispatcher, pacs: Pacs) -> None:
    pacs.exams = [exam_at("20230405", 8)]
    dispatcher.submit(exam_at("20250405"))
    Dispatcher(dispatcher.bench, pacs).fetch()
    assert len(pacs.fetched) == 1


def test_a_prior_exam_is_not_sent_and_its_own_prior_exams_are_not_fetched(dispatcher: Dispatcher, pacs: Pacs) -> None:
    uid = compared(dispatcher, pacs, exam_at("20250405"), exam_at("20230405", 8), exam_at("20210405", 9))
    (prior,) = pacs.fetched
    with dispatcher.bench.sessions() as session:
        assert not deliveries.of_study(session, prior)
        assert deliveries.of_study(session, uid)
        assert priors.find(session, prior) is None
        assert studies.state_of(session, prior) is StudyState.REPORTED
    assert len(pacs.queries) == 1


def test_a_person_can_send_the_results_of_a_prior_exam(dispatcher: Dispatcher, pacs: Pacs) -> None:
    compared(dispatcher, pacs, exam_at("20250405"), exam_at("20230405", 8))
    (prior,) = pacs.fetched
    order = Order(prior, Actor("anna", "10.0.0.7"), dispatcher.bench.clock(), "", None)
    with dispatcher.bench.sessions.begin() as session:
        resend(session, order, Selection("archive", stored=False), dispatcher.bench.context)
    assert dispatcher.run(prior)
    with dispatcher.bench.sessions() as session:
        assert {one.destination for one in deliveries.of_study(session, prior)} == {"archive"}


def test_prior_exams_are_sent_like_other_studies_if_the_rule_says_so(dispatcher: Dispatcher, pacs: Pacs) -> None:
    dispatcher.bench.site = rule(send=True)
    compared(dispatcher, pacs, exam_at("20250405"), exam_at("20230405", 8))
    with dispatcher.bench.sessions() as session:
        assert deliveries.of_study(session, pacs.fetched[0])
        assert priors.find(session, pacs.fetched[0]) is None


def test_an_exam_that_was_analysed_here_is_not_fetched_again(dispatcher: Dispatcher, pacs: Pacs) -> None:
    earlier = exam_at("20230405", 8)
    dispatcher.bench.site = ()
    prior = dispatcher.submit(earlier)
    dispatcher.run(prior)
    dispatcher.bench.site = rule()
    uid = compared(dispatcher, pacs, exam_at("20250405"), earlier)
    assert not pacs.fetched
    (exam,) = dispatcher.job(uid).priors or ()
    assert exam.study_instance_uid == prior


def test_exams_without_an_analysis_on_record_are_not_analysed_if_the_rule_says_so(
    dispatcher: Dispatcher, pacs: Pacs
) -> None:
    dispatcher.bench.site = rule(analyse=False)
    pacs.exams = [exam_at("20230405", 8)]
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.judge()
    dispatcher.settle()
    with dispatcher.bench.sessions() as session:
        prior = studies.get(session, pacs.fetched[0])
    assert prior is not None
    assert (prior.state, prior.rule) == (StudyState.INELIGIBLE, "rules.all")
    assert dispatcher.run(uid)
    assert dispatcher.job(uid).priors == ()


def test_an_older_exam_takes_the_place_of_one_that_cannot_be_analysed(dispatcher: Dispatcher, pacs: Pacs) -> None:
    raw = exam_at("20230405", 8, PresentationIntentType="FOR PROCESSING")
    older = exam_at("20210405", 9)
    pacs.exams = [raw, older]
    dispatcher.bench.site = rule(wait_s=3600.0)
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.bench.clock.turn(ASSEMBLY.quiet_time_s)
    dispatcher.judge()
    dispatcher.settle()
    dispatcher.fetch()
    assert pacs.fetched == [raw[0].StudyInstanceUID, older[0].StudyInstanceUID]
    dispatcher.judge()
    dispatcher.run(pacs.fetched[1])
    dispatcher.settle()
    assert dispatcher.search(uid).state is SearchState.DONE
    assert dispatcher.run(uid)
    assert [one.study_date for one in dispatcher.job(uid).priors or ()] == ["20210405"]


def test_scores_of_another_model_are_given_without_a_change(dispatcher: Dispatcher, pacs: Pacs) -> None:
    earlier = exam_at("20230405", 8)
    dispatcher.bench.site = ()
    prior = dispatcher.submit(earlier)
    works = dispatcher.bench.predictor
    dispatcher.run(prior)
    dispatcher.bench.site = rule()
    other = replace(works.algorithm, algorithm_version="2", weights_sha256="0" * 64)
    dispatcher.bench.predictor = Other(works, other)  # type: ignore[assignment]
    uid = compared(dispatcher, pacs, exam_at("20250405"), earlier)
    (exam,) = dispatcher.job(uid).priors or ()
    assert (exam.same_model, exam.changes, exam.correspondences) == (False, {}, ())
    assert exam.study_scores
    (report,) = reports(dispatcher.bench, uid)
    texts = [str(one.value) for one in report.iterall()]
    assert any("another model" in text for text in texts)
    assert not any("Change of score" in text for text in texts if len(text) < 100)


class Other:
    """A predictor of another version."""

    def __init__(self, works: Any, algorithm: Any) -> None:
        self._works, self.algorithm = works, algorithm

    def segment(self, mammograms: Any) -> Any:
        """Segment as the other predictor does."""
        return self._works.segment(mammograms)


def test_a_prior_exam_is_analysed_with_the_priority_of_the_study_that_waits(dispatcher: Dispatcher, pacs: Pacs) -> None:
    dispatcher.bench.site = (replace(rule()[0], priority=Priority.URGENT),)
    pacs.exams = [exam_at("20230405", 8)]
    dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.judge()
    assert dispatcher.job(pacs.fetched[0]).priority is Priority.URGENT


def test_a_person_can_end_the_wait(dispatcher: Dispatcher) -> None:
    uid = dispatcher.submit(exam_at("20250405"))
    with dispatcher.bench.sessions.begin() as session:
        assert job_restarts.retry(session, dispatcher.job(uid).job_id, dispatcher.bench.clock())
    assert dispatcher.run(uid)


def test_a_job_that_waits_for_prior_exams_is_no_backlog(dispatcher: Dispatcher) -> None:
    uid = dispatcher.submit(exam_at("20250405"))
    with dispatcher.bench.sessions() as session:
        assert backlog.oldest_unfinished_job(session) is None
        assert backlog.longest_due_job(session) is None
    dispatcher.fetch()
    assert dispatcher.job(uid).waits_until is None
    with dispatcher.bench.sessions() as session:
        assert backlog.oldest_unfinished_job(session) == dispatcher.bench.clock()
        assert backlog.longest_due_job(session) == dispatcher.bench.clock()


def test_exams_that_the_node_has_are_compared_although_the_archive_is_away(dispatcher: Dispatcher, pacs: Pacs) -> None:
    def down() -> None:
        raise TransientError("PACS does not answer.")

    dispatcher.bench.site = ()
    prior = dispatcher.submit(exam_at("20230405", 8))
    dispatcher.run(prior)
    dispatcher.bench.site = rule()
    pacs.failure = down
    uid = dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    assert not dispatcher.run(uid)
    dispatcher.bench.clock.turn(PLAN.wait_s)
    dispatcher.settle()
    assert dispatcher.search(uid).state is SearchState.EXPIRED
    assert dispatcher.run(uid)
    assert [one.study_instance_uid for one in dispatcher.job(uid).priors or ()] == [prior]


def test_a_search_says_what_it_waits_for_and_which_came_too_late(dispatcher: Dispatcher, pacs: Pacs) -> None:
    pacs.exams = [exam_at("20230405", 8)]
    uid = dispatcher.submit(exam_at("20250405"))
    assert dispatcher.search(uid).awaited == "sources.pacs has not answered which exams there are"
    dispatcher.fetch()
    assert dispatcher.search(uid).awaited == "the exam of 2023-04-05 is fetched, but not analysed yet"
    began = dispatcher.bench.clock()
    with dispatcher.bench.sessions() as session:
        assert priors.count_open(session) == 1
        assert priors.late_since(session, began) == []
    dispatcher.bench.clock.turn(PLAN.wait_s + 1)
    dispatcher.settle()
    with dispatcher.bench.sessions() as session:
        assert priors.count_open(session) == 0
        assert [one.study_instance_uid for one in priors.late_since(session, began)] == [uid]
        assert priors.late_since(session, dispatcher.bench.clock()) == []


def test_scores_of_prior_exams_are_in_no_mean_of_recent_scores(
    dispatcher: Dispatcher, pacs: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_scores, "LEAST_ANALYSES", 1)
    compared(dispatcher, pacs, exam_at("20250405"), exam_at("20230405", 8))
    with dispatcher.bench.sessions() as session:
        newest = audit.recent(session, EventKind.JOB_SUCCEEDED, 9)
        assert [one.study_instance_uid for one in newest][1:] == pacs.fetched
        assert recent_scores.recent_scores(session).means == newest[0].detail["mean_scores"]


def test_an_exam_that_could_not_be_fetched_and_comes_by_itself_is_sent_like_any_other(
    dispatcher: Dispatcher, pacs: Pacs
) -> None:
    prior = exam_at("20230405", 8)
    pacs.exams = [prior]
    dispatcher.submit(exam_at("20250405"))
    pacs.fetch = Mock(side_effect=PermanentError("PACS refuses."))  # type: ignore[method-assign]
    dispatcher.fetch()
    assert dispatcher.job(dispatcher.submit(prior)).routing.destinations != ()


def test_a_prior_exam_of_which_images_come_long_after_its_fetch_is_sent_like_any_other(
    dispatcher: Dispatcher, pacs: Pacs
) -> None:
    prior = exam_at("20230405", 8)
    pacs.exams = [prior[:3]]
    dispatcher.submit(exam_at("20250405"))
    dispatcher.fetch()
    dispatcher.bench.clock.turn(ASSEMBLY.quiet_time_s)
    dispatcher.judge()
    uid = str(prior[0].StudyInstanceUID)
    assert dispatcher.job(uid).routing.destinations == ()
    dispatcher.bench.clock.turn(PLAN.wait_s + PRIOR_ARRIVES_WITHIN.total_seconds())
    take(dispatcher.bench, prior[3:])
    dispatcher.judge()
    assert dispatcher.job(uid).routing.destinations != ()
