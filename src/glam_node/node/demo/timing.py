"""Where the time went, from the first image to the last result."""

from collections.abc import Iterator
from datetime import datetime

from glam_node.node.demo.watch import Progress


def stages(progress: Progress) -> Iterator[tuple[str, float]]:
    """Every stage of a reported study in order, with its seconds; the last is from last C-STORE to last result."""
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
