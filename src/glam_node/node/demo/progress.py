"""The progress of a study through the node, read from the node's database, and the time of each stage."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from glam_node.node.db import audit, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory, database_url, open_database, reading
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one study with its jobs, deliveries and events."""

    study: Study
    jobs: tuple[InferenceJob, ...]
    """Jobs of the study, the newest first."""
    deliveries: tuple[Delivery, ...]
    timeline: tuple[Event, ...]

    @property
    def stored(self) -> int:
        """Number of result objects that the archive stored."""
        return sum(delivery.state is DeliveryState.STORED for delivery in self.deliveries)

    @property
    def is_done(self) -> bool:
        """Whether the study is finished: all results are stored, or it is not eligible."""
        if self.study.state is StudyState.REPORTED:
            return bool(self.deliveries) and self.stored == len(self.deliveries)
        return self.study.state is StudyState.INELIGIBLE

    @property
    def failure(self) -> str:
        """Reason why the study cannot finish; empty while it can."""
        if self.jobs and self.jobs[0].state is JobState.FAILED:
            return self.jobs[0].failure
        return next((d.failure for d in self.deliveries if d.state is DeliveryState.ABANDONED), "")

    @property
    def step(self) -> str:
        """Current step of the study, as text for a person."""
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
    """Open the database of the node with this storage root for reading until the context ends."""
    sessions = open_database(database_url("", root))
    try:
        yield reading(sessions)
    finally:
        sessions.kw["bind"].dispose()


def progress_of(sessions: SessionFactory, study_instance_uid: str) -> Progress | None:
    """Return the progress of a study; None before its first instance is stored."""
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
    """Wait until all studies are finished, and return their progress.

    Args:
        sessions: Sessions of the database of the node.
        study_instance_uids: The studies.
        tell: A function that is called repeatedly with a line of text about the current step.
        timeout_s: Time limit in s.

    Raises:
        PermanentError: A study failed, or the time limit has passed.
    """
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
            tell(f"study {len(known) - len(unfinished) + 1} of {len(study_instance_uids)}: {unfinished[0].step}")
        if time.monotonic() > deadline:
            raise PermanentError(f"The results did not arrive within {timeout_s:.0f} s.")
        time.sleep(POLL_S)


def stage_seconds(progress: Progress) -> Iterator[tuple[str, float]]:
    """Yield each stage of a reported study with its time in s.

    If a result was stored, the last stage is the whole time from the last C-STORE to the last result.
    """
    study = progress.study
    at = {event.kind: event.at for event in progress.timeline}
    yield "receive", _between(study.first_received_at, study.last_received_at)
    yield "wait until the sender is quiet", _between(study.last_received_at, at.get(EventKind.STUDY_COMPLETE))
    yield "queue", _between(at.get(EventKind.STUDY_COMPLETE), at.get(EventKind.JOB_STARTED))
    for stage, seconds in progress.jobs[0].stage_seconds:
        yield f"analysis: {stage}", seconds
    stored = [delivery.stored_at for delivery in progress.deliveries if delivery.stored_at is not None]
    if stored:
        yield "deliver to the archive", _between(at.get(EventKind.JOB_SUCCEEDED), max(stored))
        yield "last C-STORE to last result stored", _between(study.last_received_at, max(stored))


def _between(start: datetime | None, end: datetime | None) -> float:
    return 0.0 if start is None or end is None else max(0.0, (end - start).total_seconds())
