"""The progress of a study through the node, read from the node's database, and the time of each stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from glam_node.node.db import audit, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.domain.words import counted

LAST_STORE_TO_LAST_RESULT = "last C-STORE to last result stored"


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
        yield LAST_STORE_TO_LAST_RESULT, _between(study.last_received_at, max(stored))


def _between(start: datetime | None, end: datetime | None) -> float:
    return 0.0 if start is None or end is None else max(0.0, (end - start).total_seconds())
