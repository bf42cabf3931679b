"""The Celery task of a worker, and the consumption of its messages, one by one, in the main thread."""

import logging
import threading
from collections.abc import Callable

from celery import Celery, signals
from celery.worker import state

from glam_node.node.worker.celery_app import TASK_NAME


def consume(app: Celery, *, ready: Callable[[], object], stop: threading.Event) -> None:
    """Receive messages until `stop` is set; the job that is in progress then is finished first.

    Args:
        app: Application whose task runs the jobs.
        ready: Function that is called when the worker can receive messages.
        stop: Event that makes the worker stop.
    """
    signals.setup_logging.connect(_leave_logging_alone)
    logging.getLogger("celery").setLevel(logging.ERROR)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_news)
    worker = app.WorkController(
        pool="solo",
        concurrency=1,
        ready_callback=lambda _consumer: ready(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    threading.Thread(target=_stop_when, args=(stop,), name="stop", daemon=True).start()
    worker.start()


def _leave_logging_alone(**_details: object) -> None:
    """Do nothing: Celery configures no loggers when this signal has a receiver."""


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether to log a message of Celery: a broker that cannot be reached is logged at the first attempt only.

    The message of the first attempt contains "(1/".
    """
    message = record.getMessage()
    return "Cannot connect" not in message or "(1/" in message


def _stop_when(stop: threading.Event) -> None:
    stop.wait()
    state.should_stop = 0


def register_run_job(app: Celery, run: Callable[[str], object]) -> None:
    """Register the task that calls `run(job_id)` for each message; Celery logs its errors.

    Celery does not repeat failed jobs: the row of a job in the database has the time of its next attempt.
    """

    @app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
    def run_job(job_id: str) -> None:
        run(job_id)
