"""The page of the queue: waiting, running and failed jobs, the workers, and studies of orders to fetch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Renderer
from glam_node.node.db import backlog, canary, imaging_orders, jobs, priors, workers
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.worker import Worker
from glam_node.node.workflow.operate.prior_description import describe_search

SHOWN = 50
UNSEEN_AFTER = timedelta(seconds=45)
"""The time after which a worker, which reports its state every ten seconds, is shown as not seen."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker with its running jobs."""

    worker: Worker
    jobs: list[InferenceJob]
    seen: bool
    """Whether its latest report is recent."""


def page(renderer: Renderer, request: Request) -> Response:
    """Show workers and their jobs, waiting jobs by priority, failed jobs, studies of orders, and the last canary."""
    now = renderer.now()
    with renderer.sessions() as session:
        running = jobs.running(session)
        present = with_jobs(workers.list_all(session), running, now)
        waiting = backlog.waiting_jobs(session)
        first = jobs.waiting(session, SHOWN)
        searches = priors.open_searches(session, SHOWN)
        failed = jobs.failed(session, SHOWN)
        ordered = imaging_orders.fetches(session, SHOWN)
        failed_in_all = jobs.counts_by_state(session).get(JobState.FAILED, 0)
        last_canary, present_canary = canary.last_judged(session), canary.unfinished(session)
    named = {one.worker.name for one in present}
    return renderer.render(
        request,
        "queue",
        workers=present,
        strays=[job for job in running if job.lease_owner not in named],
        waiting=waiting,
        jobs=first,
        searches=[describe_search(one) for one in searches],
        failed=failed,
        orders=ordered,
        failed_in_all=failed_in_all,
        canary=last_canary,
        canary_under_way=present_canary,
    )


def with_jobs(present: list[Worker], running: list[InferenceJob], now: datetime) -> list[WorkerFacts]:
    """Return every worker with its running jobs."""
    return [
        WorkerFacts(one, [job for job in running if job.lease_owner == one.name], now - one.last_seen_at < UNSEEN_AFTER)
        for one in present
    ]
