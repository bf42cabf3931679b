"""The Celery task of a worker."""

from collections.abc import Callable

from celery import Celery

from glam_node.node.worker.celery_app import TASK_NAME


def register_run_job(app: Celery, run: Callable[[str], object]) -> None:
    """Register the task that calls `run(job_id)` for each message; Celery logs its errors.

    The row of the job has the time of the next attempt.
    """

    @app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
    def run_job(job_id: str) -> None:
        run(job_id)
