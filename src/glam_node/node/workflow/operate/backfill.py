"""Backfill: fetches many studies of an archive, within limits, and records its progress so that it can be resumed."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from glam_node.node.db import audit, backfill, jobs, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.archived import StudyQuery
from glam_node.node.domain.backfill import BackfillLimits, BackfillState, BackfillStudy
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import JobState
from glam_node.node.domain.ports import Source
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.workflow.receive.fetch_study import StudyFetcher, shortfall

log = structlog.get_logger(__name__)

POLL_S = 1.0
REST_AFTER_FAILURE_S = 60.0
"""Seconds without new requests after the archive did not answer."""
ATTEMPTS = 5
"""Number of times that a study is tried while the archive does not answer."""
FAILED_IN_A_ROW = 5
"""Number of studies that fail one after another before the backfill ends, since a person must correct something."""
_FINAL = (StudyState.REPORTED, StudyState.INELIGIBLE, StudyState.RETIRED)

Tell = Callable[[str, int, int], None]
"""Function that shows what happens: words, the number of done studies and the number of all studies."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A study of a backfill, as its table of scores shows it."""

    entry: BackfillStudy
    state: str
    """State of the study in the node, FAILED if its analysis was given up, or NOT_FETCHED."""
    reason: str
    scores: dict[str, float] = field(default_factory=dict)
    """Score of the study by class; empty without an analysis."""
    algorithm_version: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the node does nothing more with the study by itself."""
        return self.state in (*_FINAL, str(JobState.FAILED))


class Backfill:
    """Fetches studies of one source.

    Args:
        source: The source, which is searched.
        fetcher: The fetcher of its studies.
        sessions: Database sessions.
        limits: Limits of the load.
        now: Function that returns the time.
        sleep: Function that waits for a number of seconds.
    """

    def __init__(
        self,
        source: Source,
        fetcher: StudyFetcher,
        sessions: SessionFactory,
        limits: BackfillLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._fetcher, self._sessions, self._limits = source, fetcher, sessions, limits
        self._now, self._sleep = now, sleep
        self._uids: list[str] = []
        self._next_start = now()
        self._failed_in_a_row = 0

    def find(self, queries: Iterable[StudyQuery]) -> list[StudyQuery]:
        """Search for the studies and record those that are new; return the queries that matched too many studies.

        Raises:
            NodeError: The archive does not answer, or refuses a query.
        """
        cut = []
        for query in queries:
            found = self._source.find_studies(query)
            if found.is_cut:
                cut.append(query)
            with self._sessions.begin() as session:
                backfill.add(session, self._source.name, found.studies, self._now())
            self._uids += [one.study_instance_uid for one in found.studies]
        self._uids = list(dict.fromkeys(self._uids))
        return cut

    def fetch(self, tell: Tell) -> None:
        """Fetch the studies that are not fetched yet, within the limits; a run that is interrupted can be repeated.

        Raises:
            PermanentError: The source does not work until a person acts.
        """
        waiting = [one for one in self._entries() if one.state is BackfillState.WAITING]
        done, total = len(self._uids) - len(waiting), len(self._uids)
        attempts: dict[str, int] = {}
        self._failed_in_a_row = 0
        running: dict[Future[Exception | None], BackfillStudy] = {}
        pool = ThreadPoolExecutor(self._limits.at_once, "backfill")
        try:
            while waiting or running:
                tell("studies fetched", done, total)
                if waiting and len(running) < self._limits.at_once and self._may_start(tell, done, total):
                    entry = waiting.pop(0)
                    running[pool.submit(self._fetch_one, entry)] = entry
                    continue
                finished = self._finished(running)
                for entry, error in finished:
                    if self._shall_repeat(entry, error, attempts):
                        waiting.append(entry)
                    else:
                        done += 1
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        tell("studies fetched", done, total)

    def wait_for_analysis(self, tell: Tell, is_serving: Callable[[], bool], poll_s: float) -> None:
        """Wait until the node has analysed the fetched studies, or does not run."""
        while is_serving():
            left = self._unfinished()
            tell("studies analysed", len(self._uids) - left, len(self._uids))
            if not left:
                return
            self._sleep(poll_s)

    def outcomes(self) -> list[Outcome]:
        """Return what became of each study, the newest first."""
        entries = self._entries()
        uids = [one.study.study_instance_uid for one in entries]
        with reading(self._sessions)() as session:
            analysed = audit.newest_of_studies(session, EventKind.JOB_SUCCEEDED, uids)
            found = []
            for one in entries:
                uid = one.study.study_instance_uid
                study, job, event = studies.get(session, uid), jobs.newest(session, uid), analysed.get(uid)
                if study is None:
                    found.append(Outcome(one, "NOT_FETCHED", one.failure))
                    continue
                failed = study.state is StudyState.SUBMITTED and job is not None and job.state is JobState.FAILED
                detail: Any = {} if event is None else event.detail
                found.append(
                    Outcome(
                        one,
                        str(JobState.FAILED if failed else study.state),
                        one.failure or (job.failure if failed and job is not None else study.reason),
                        dict(detail.get("study_scores", {})),
                        detail.get("algorithm_version", ""),
                    )
                )
        return found

    def _entries(self) -> list[BackfillStudy]:
        with reading(self._sessions)() as session:
            return backfill.known(session, self._uids)

    def _may_start(self, tell: Tell, done: int, total: int) -> bool:
        """Return whether another study may be fetched now; wait a moment if not."""
        now = self._now()
        local = now.astimezone()
        if not self._limits.allows(local):
            tell(f"waiting until {self._limits.next_begin(local):%H:%M}", done, total)
        elif now >= self._next_start and self._unfinished() < self._limits.unfinished:
            self._next_start = now + self._limits.interval
            return True
        self._sleep(POLL_S)
        return False

    def _unfinished(self) -> int:
        """Return how many fetched studies the node has not finished; otherwise a slow worker would fill the disk."""
        with reading(self._sessions)() as session:
            return backfill.unfinished(session)

    def _fetch_one(self, entry: BackfillStudy) -> Exception | None:
        uid = entry.study.study_instance_uid
        with self._sessions.begin() as session:
            backfill.begin(session, uid, self._now())
        try:
            outcome = self._fetcher.fetch(entry.study)
        except NodeError as error:
            return error
        state = BackfillState.FETCHED if outcome.is_complete else BackfillState.FAILED
        with self._sessions.begin() as session:
            backfill.finish(session, uid, state, shortfall(outcome), self._now())
        return None

    def _finished(
        self, running: dict[Future[Exception | None], BackfillStudy]
    ) -> list[tuple[BackfillStudy, Exception | None]]:
        ended, _ = wait(running, POLL_S, FIRST_COMPLETED)
        return [(running.pop(one), one.result()) for one in ended]

    def _shall_repeat(self, entry: BackfillStudy, error: Exception | None, attempts: dict[str, int]) -> bool:
        """Return whether a study is tried again in this run, after an archive that did not answer; else record why not.

        Raises:
            PermanentError: The archive refuses this node.
        """
        if error is None:
            self._failed_in_a_row = 0
            return False
        uid = entry.study.study_instance_uid
        attempts[uid] = attempts.get(uid, 0) + 1
        if isinstance(error, TransientError) and attempts[uid] < ATTEMPTS:
            log.warning("backfill_rests", study_instance_uid=uid, failure=str(error), seconds=REST_AFTER_FAILURE_S)
            self._next_start = self._now() + timedelta(seconds=REST_AFTER_FAILURE_S)
            return True
        with self._sessions.begin() as session:
            backfill.finish(session, uid, BackfillState.FAILED, str(error), self._now())
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            raise PermanentError(
                f"{FAILED_IN_A_ROW} studies in a row could not be fetched, the last one because: {error}"
            )
        return False


def day_queries(first: datetime, last: datetime, modality: str, limit: int) -> list[StudyQuery]:
    """Return one query for each day, since archives limit the number of answers; the last day first."""
    days = [last - timedelta(days=number) for number in range((last - first).days + 1)]
    return [
        StudyQuery(date_from=f"{day:%Y%m%d}", date_to=f"{day:%Y%m%d}", modality=modality, limit=limit) for day in days
    ]
