"""Watches a study on its way through the node, in the node's own database."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glam_node.node.db import audit, deliveries, jobs, studies
from glam_node.node.db.audit import Event
from glam_node.node.db.engine import SessionFactory, database_url, open_database, reading
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one study has come."""

    study: Study
    jobs: tuple[InferenceJob, ...]
    """The newest first."""
    deliveries: tuple[Delivery, ...]
    timeline: tuple[Event, ...]

    @property
    def stored(self) -> int:
        """How many of its result objects the archive has."""
        return sum(delivery.state is DeliveryState.STORED for delivery in self.deliveries)

    @property
    def is_done(self) -> bool:
        """Nothing more will happen to it."""
        if self.study.state is StudyState.REPORTED:
            return bool(self.deliveries) and self.stored == len(self.deliveries)
        return self.study.state is StudyState.INELIGIBLE

    @property
    def failure(self) -> str:
        """Why it will not be done; empty as long as it may."""
        if self.jobs and self.jobs[0].state is JobState.FAILED:
            return self.jobs[0].failure
        return next((d.failure for d in self.deliveries if d.state is DeliveryState.ABANDONED), "")

    @property
    def words(self) -> str:
        """For people, what it does at the moment."""
        if self.study.state is StudyState.REPORTED:
            return "the node sends the results to the archive"
        if self.study.state is StudyState.SUBMITTED:
            running = any(job.state is JobState.RUNNING for job in self.jobs)
            return "the model analyses the images" if running else "the job waits for a worker"
        if self.study.state is StudyState.RECEIVING:
            return f"{counted(len(self.study.instances), 'image')} arrived; the node waits until the sender is quiet"
        return self.study.reason or str(self.study.state)


@contextmanager
def open_demo_database(root: Path) -> Iterator[SessionFactory]:
    """Sessions that only read the database of the node with this storage root."""
    sessions = open_database(database_url("", root))
    try:
        yield reading(sessions)
    finally:
        sessions.kw["bind"].dispose()


def progress_of(sessions: SessionFactory, study_instance_uid: str) -> Progress | None:
    """How far the study has come; None before its first instance."""
    with sessions() as session:
        study = studies.get(session, study_instance_uid)
        if study is None:
            return None
        return Progress(
            study,
            tuple(jobs.of_study(session, study_instance_uid)),
            tuple(deliveries.of_study(session, study_instance_uid)),
            tuple(audit.timeline(session, study_instance_uid)),
        )


def wait_until_done(
    sessions: SessionFactory, study_instance_uids: Sequence[str], tell: Callable[[str], None], timeout_s: float
) -> list[Progress]:
    """The studies, nothing more to come. Raises PermanentError when one was given up or takes longer than allowed."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = [progress_of(sessions, uid) for uid in study_instance_uids]
        known = [progress for progress in found if progress is not None]
        unfinished = [progress for progress in known if not progress.is_done]
        for progress in unfinished:
            if progress.failure:
                raise PermanentError(f"Study {progress.study.study_instance_uid}: {progress.failure}")
        if len(known) == len(study_instance_uids) and not unfinished:
            stored = sum(progress.stored for progress in known)
            tell(f"the archive stored {counted(stored, 'result')}")
            return known
        if unfinished:
            tell(f"study {len(known) - len(unfinished) + 1} of {len(study_instance_uids)}: {unfinished[0].words}")
        if time.monotonic() > deadline:
            raise PermanentError(f"The results did not arrive within {timeout_s:.0f} s.")
        time.sleep(POLL_S)
