"""The job queue without a broker."""

from glam_node.node.domain.job import Priority
from glam_node.node.domain.ports import JobQueue
from glam_node.node.worker.queue import InlineQueue


def test_an_inline_queue_runs_a_job_at_once() -> None:
    done: list[str] = []
    queue: JobQueue = InlineQueue(done.append)
    queue.announce("job-1", Priority.URGENT)
    assert done == ["job-1"]
