"""The time that each stage of a study took, from the first image to the last result."""

from collections.abc import Iterator
from datetime import datetime

from glam_node.node.demo.watch import Progress


def stages(progress: Progress) -> Iterator[tuple[str, float]]:
    """Yield each stage of a reported study with its time in s.

    The last one is the whole time from the last C-STORE to the last result, if a result was stored.
    """
    study = progress.study
    at = {event.event: event.at for event in progress.timeline}
    yield "receive", _between(study.first_received_at, study.last_received_at)
    yield "wait until the sender is quiet", _between(study.last_received_at, at.get("study_complete"))
    yield "queue", _between(at.get("study_complete"), at.get("job_started"))
    for stage, seconds in progress.jobs[0].stage_seconds:
        yield f"analysis: {stage}", seconds
    stored = [delivery.stored_at for delivery in progress.deliveries if delivery.stored_at is not None]
    if stored:
        yield "deliver to the archive", _between(at.get("job_succeeded"), max(stored))
        yield "last C-STORE to last result stored", _between(study.last_received_at, max(stored))


def _between(start: datetime | None, end: datetime | None) -> float:
    return 0.0 if start is None or end is None else max(0.0, (end - start).total_seconds())
