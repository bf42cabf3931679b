"""What a worker does when it is rung."""

from collections.abc import Callable

from celery import Celery

from glam_node.node.worker.celery_app import TASK_NAME


def register_run_job(app: Celery, run: Callable[[str], object]) -> None:
    """Every message runs `run(job_id)`; what it raises is logged, and the row of the job says when to try again."""

    @app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
    def run_job(job_id: str) -> None:
        run(job_id)
