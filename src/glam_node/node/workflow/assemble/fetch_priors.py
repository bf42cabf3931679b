"""Fetching of prior exams: the archive is asked which there are, and the newest are fetched until enough are ready."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from glam_node.node.db import priors, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.archived import ArchivedStudy
from glam_node.node.domain.ports import Source
from glam_node.node.domain.prior import PriorSearch, PriorState, PriorStudy, newest_first
from glam_node.node.domain.study import Study
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.assemble.prior_identity import difference_in_person, sought_patient
from glam_node.node.workflow.receive.fetch_study import StudyFetcher, shortfall
from glam_node.node.workflow.record.failure import describe

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Number of studies whose prior exams are fetched at the same time."""
LOOKED_AT = 100
AGAIN_AFTER = timedelta(seconds=10)
"""Time after which an archive that did not answer is asked again."""
SPARE_EXAMS = 3
"""Number of older exams that take the place of exams that cannot be compared, such as those of a biopsy."""


@dataclass(frozen=True, slots=True)
class PriorSource:
    """A source of prior exams, with its fetcher."""

    source: Source
    fetcher: StudyFetcher


class PriorFetcher:
    """Fetches the prior exams of studies that wait for them.

    Each study has a thread of its own, so that an archive that answers slowly delays no other study. What is under way
    when the time of a study is over is finished, and nothing more is begun.

    Args:
        sessions: Database sessions.
        store: The storage root.
        open_source: Function that opens a source by its NAME, for the time of one study.
        now: Function that returns the time.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        store: InstanceStore,
        open_source: Callable[[str], AbstractContextManager[PriorSource]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sessions, self._store, self._open_source, self._now = sessions, store, open_source, now
        self._running: dict[str, threading.Thread] = {}
        self._next_attempt: dict[str, datetime] = {}

    def start_due(self) -> None:
        """Start a thread for each study that waits and has none, up to AT_ONCE at a time."""
        self._running = {uid: thread for uid, thread in self._running.items() if thread.is_alive()}
        with reading(self._sessions)() as session:
            waiting = priors.open_searches(session, LOOKED_AT)
        open_uids = {one.study_instance_uid for one in waiting}
        self._next_attempt = {uid: at for uid, at in self._next_attempt.items() if uid in open_uids}
        for search in waiting:
            if len(self._running) >= AT_ONCE:
                return
            uid = search.study_instance_uid
            if uid not in self._running and self._is_due(search):
                # A thread that hangs in an archive's answer must not keep the process from ending.
                thread = threading.Thread(target=self._work_on, args=(uid,), name="prior exams", daemon=True)
                self._running[uid] = thread
                thread.start()

    def wait(self) -> None:
        """Wait for the threads that run, for tests."""
        for thread in list(self._running.values()):
            thread.join()

    def _is_due(self, search: PriorSearch) -> bool:
        at = self._next_attempt.get(search.study_instance_uid)
        has_work = not search.is_searched or search.next_to_fetch is not None
        return has_work and self._now() < search.until and (at is None or self._now() >= at)

    def _work_on(self, study_instance_uid: str) -> None:
        """Search and fetch for one study; what fails is tried again until the time of the study is over."""
        try:
            self._advance(study_instance_uid)
        except Exception as error:  # the failure of one study must not end the work on the others
            failure = str(error) if isinstance(error, NodeError) else describe(error)
            log.warning("priors_not_fetched", study_instance_uid=study_instance_uid, failure=failure)
            self._next_attempt[study_instance_uid] = self._now() + AGAIN_AFTER
            if isinstance(error, NodeError):
                # If the database does not answer, the next attempt records the failure.
                with suppress(SQLAlchemyError):
                    self._note(study_instance_uid, failure, is_searched=None)

    def _advance(self, study_instance_uid: str) -> None:
        search, study = self._read(study_instance_uid)
        if search is None or study is None:
            return
        with self._open_source(search.plan.source) as opened:
            trouble = None if search.is_searched else self._search(search, study, opened.source)
            while (prior := self._next(study_instance_uid)) is not None:
                self._fetch(study, prior, opened.fetcher)
        if trouble is not None:
            raise trouble

    def _next(self, study_instance_uid: str) -> PriorStudy | None:
        """Return the prior exam to fetch next; None if there is none, or no time is left."""
        search, _ = self._read(study_instance_uid)
        return None if search is None or self._now() >= search.until else search.next_to_fetch

    def _read(self, study_instance_uid: str) -> tuple[PriorSearch | None, Study | None]:
        with reading(self._sessions)() as session:
            return priors.find(session, study_instance_uid), studies.get(session, study_instance_uid)

    def _search(self, search: PriorSearch, study: Study, source: Source) -> TransientError | None:
        """Record which exams the archive and the node have; a study that names no patient has none.

        Returns:
            The error if the archive does not answer; the exams that the node has itself are recorded nevertheless.
        """
        uid = study.study_instance_uid
        sought = sought_patient(study, self._store)
        if sought is None or sought.lacks:
            lacks = "mammograms" if sought is None else sought.lacks
            self._note(uid, f"no prior exam is looked for: the study states no {lacks}", is_searched=True)
            return None
        query = sought.query(search.plan.maximum_age_days)
        with reading(self._sessions)() as session:
            found = priors.known_exams(session, query)
        failure, trouble = "", None
        try:
            found += source.find_studies(query).studies
        except PermanentError as error:
            failure = str(error)
        except TransientError as error:
            failure, trouble = str(error), error
        admitted = newest_first(one for one in found if sought.admits(one))[: search.plan.count + SPARE_EXAMS]
        with self._sessions.begin() as session:
            priors.add_found(session, uid, admitted)
            priors.set_searched(session, uid, failure, is_searched=trouble is None)
        return trouble

    def _fetch(self, study: Study, prior: PriorStudy, fetcher: StudyFetcher) -> None:
        """Fetch an exam unless the node has it, and record whether it is of the patient.

        Raises:
            TransientError: The archive does not answer.
        """
        uid, earlier = study.study_instance_uid, prior.study_instance_uid
        with self._sessions.begin() as session:
            is_wanted = priors.begin_fetch(session, uid, earlier)
        try:
            failure = self._fetched(study, prior, fetcher) if is_wanted else ""
        finally:
            with self._sessions.begin() as session:
                priors.end_fetch(session, uid, earlier)
        if not failure:
            with reading(self._sessions)() as session:
                stored = studies.get(session, earlier)
            reason = "it is not stored" if stored is None else difference_in_person(study, stored, self._store)
            failure = f"not surely of the same patient: {reason}" if reason else ""
        state = PriorState.UNUSABLE if failure else PriorState.FETCHED
        with self._sessions.begin() as session:
            priors.set_prior(session, uid, earlier, state, failure)

    @staticmethod
    def _fetched(study: Study, prior: PriorStudy, fetcher: StudyFetcher) -> str:
        """Fetch an exam; return why the node does not have all of it, or an empty text."""
        wanted = ArchivedStudy(prior.study_instance_uid, study.attributes.patient_id, study_date=prior.study_date)
        try:
            return shortfall(fetcher.fetch(wanted), most_failures=3)
        except PermanentError as error:
            return str(error)

    def _note(self, study_instance_uid: str, failure: str, *, is_searched: bool | None) -> None:
        """Record a failure; `is_searched` None leaves open whether the archive has answered."""
        with self._sessions.begin() as session:
            known = priors.find(session, study_instance_uid)
            if known is not None:
                searched = known.is_searched if is_searched is None else is_searched
                priors.set_searched(session, study_instance_uid, failure, is_searched=searched)
