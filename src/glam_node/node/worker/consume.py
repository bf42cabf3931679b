"""Hears messages and works them off one by one, in the main thread of this process."""

import logging
import threading
from collections.abc import Callable

from celery import Celery, signals
from celery.worker import state


def consume(app: Celery, *, ready: Callable[[], object], stop: threading.Event) -> None:
    """Work until `stop` is set; a job in progress is finished first. `ready` is called when messages can come."""
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
    """A receiver of this signal is what keeps Celery from configuring loggers."""


def _is_news(record: logging.LogRecord) -> bool:
    """Celery repeats that the broker is away with every attempt; "(1/" is in the first."""
    message = record.getMessage()
    return "Cannot connect" not in message or "(1/" in message


def _stop_when(stop: threading.Event) -> None:
    stop.wait()
    state.should_stop = 0
