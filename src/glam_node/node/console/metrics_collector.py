"""Measurement of all metrics, for /metrics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, backlog, canary, conflicts, deliveries, jobs, priors, studies
from glam_node.node.db.engine import reading
from glam_node.node.domain.job import JobState
from glam_node.node.observe import metrics
from glam_node.node.observe.metrics import Metric
from glam_node.node.workflow.record.recent_scores import recent_scores


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


def measure(node: Node, now: datetime) -> list[Sample]:
    """Return the samples of every metric at `now`. Errors of the database and the file system pass through."""
    with reading(node.sessions)() as session:
        return [
            *_on_record(session),
            *_scores(session),
            *_waiting(session, node, now),
            *_canaries(session, node, now),
            *_on_disk(node),
        ]


def _on_record(session: Session) -> Iterator[Sample]:
    for study_state, count in studies.counts_by_state(session).items():
        yield Sample(metrics.STUDIES, count, (str(study_state),))
    of_jobs = jobs.counts_by_state(session)
    for job_state, count in of_jobs.items():
        yield Sample(metrics.JOBS, count, (str(job_state),))
    yield Sample(metrics.RUNNING_JOBS, of_jobs.get(JobState.RUNNING, 0))
    for (destination, delivery_state), count in deliveries.counts(session).items():
        yield Sample(metrics.DELIVERIES, count, (destination, str(delivery_state)))
    for doubt, count in conflicts.count_in_doubt(session).items():
        yield Sample(metrics.IN_DOUBT, count, (doubt,))
    for kind, count in audit.counts(session, metrics.COUNTED_EVENTS).items():
        yield Sample(metrics.EVENTS, count, (str(kind),))


def _scores(session: Session) -> Iterator[Sample]:
    scores = recent_scores(session)
    for kind, value in scores.means.items():
        yield Sample(metrics.MEAN_SCORE, value, (kind,))
    for kind, value in scores.reference.items():
        yield Sample(metrics.REFERENCE_SCORE, value, (kind,))


def _waiting(session: Session, node: Node, now: datetime) -> Iterator[Sample]:
    yield Sample(metrics.OLDEST_JOB, _age(backlog.oldest_unfinished_job(session), now))
    pending = backlog.pending_deliveries(session)
    for destination in node.settings.destinations:
        oldest = pending[destination].oldest if destination in pending else None
        yield Sample(metrics.OLDEST_DELIVERY, _age(oldest, now), (destination,))
    for state, count in priors.counts_since(session, now - timedelta(days=1)).items():
        yield Sample(metrics.PRIOR_SEARCHES, count, (state.lower(),))
    last = studies.last_received_at(session)
    yield Sample(metrics.LAST_IMAGE, -1 if last is None else _age(last, now))


def _canaries(session: Session, node: Node, now: datetime) -> Iterator[Sample]:
    passed = canary.last_passed(session)
    since = passed.finished_at if passed is not None and node.settings.canary.every else None
    yield Sample(metrics.CANARY_PASSED, -1 if since is None else _age(since, now))
    if passed is not None and passed.seconds is not None:
        yield Sample(metrics.CANARY_DURATION, passed.seconds)
    for verdict, count in canary.counts(session).items():
        yield Sample(metrics.CANARIES, count, (verdict.lower(),))


def _on_disk(node: Node) -> Iterator[Sample]:
    yield Sample(metrics.FREE_BYTES, node.store.free_bytes_or_none() or 0)
    yield Sample(metrics.LEAST_FREE_BYTES, node.settings.storage.minimum_free_bytes)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


class NodeCollector(Collector):
    """The collector that prometheus-client asks for the metrics of a node."""

    def __init__(self, node: Node, now: Callable[[], datetime]) -> None:
        self._node = node
        self._now = now

    def describe(self) -> list[GaugeMetricFamily]:
        """Return all metrics without samples, so that registering the collector measures nothing."""
        return [GaugeMetricFamily(one.name, one.meaning, labels=one.labels) for one in metrics.METRICS]

    def collect(self) -> list[GaugeMetricFamily]:
        """Measure all metrics now."""
        families = {one.name: GaugeMetricFamily(one.name, one.meaning, labels=one.labels) for one in metrics.METRICS}
        for sample in measure(self._node, self._now()):
            families[sample.metric.name].add_metric(sample.labels, sample.value)
        return list(families.values())
