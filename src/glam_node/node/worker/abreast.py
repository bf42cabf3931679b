"""Lets a worker see to another job while one is on the device."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from celery.exceptions import Reject

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.2


class Abreast:
    """Takes job after job, and has up to `places` in progress, each from beginning to end in a thread of its own.

    A job may be what ends a process: one that was begun before runs alone, so that none but itself is lost with it.
    The message of a job may be acknowledged before the job is over; its row and its lease are what bring it back.
    """

    def __init__(
        self, run: Callable[[str], object], begun_before: Callable[[str], bool], stop: threading.Event, places: int
    ) -> None:
        self._run = run
        self._begun_before = begun_before
        self._stop = stop
        self._places = places
        self._in_progress = 0
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="job")

    def begin(self, job_id: str) -> None:
        """The job is in progress, or over where it has the process to itself; there is room for another one.

        Waits for room at the end, not at the beginning: a message in the hands of a busy worker would be kept from
        one that is free. Raises Reject, which puts the message back, when the worker stops before the job begins.
        """
        if self._places == 1 or self._begun_before(job_id):
            self._wait_until_at_most(0)
            self._refuse_when_stopping()
            self._run(job_id)
        else:
            self._refuse_when_stopping()
            with self._changed:
                self._in_progress += 1
            self._threads.submit(self._run_beside, job_id)
            self._wait_until_at_most(self._places - 1)

    def finish(self) -> None:
        """No job is in progress any more."""
        self._threads.shutdown(wait=True)

    def _wait_until_at_most(self, count: int) -> None:
        """Or until the worker is asked to stop."""
        with self._changed:
            while self._in_progress > count and not self._stop.is_set():
                self._changed.wait(_LOOK_EVERY_S)

    def _refuse_when_stopping(self) -> None:
        if self._stop.is_set():
            raise Reject("The worker stops.", requeue=True)

    def _run_beside(self, job_id: str) -> None:
        try:
            self._run(job_id)
        except Exception as error:
            # Its row is as it was: the dispatcher rings again.
            log.error("job_not_run", job_id=job_id, failure=type(error).__name__)
        finally:
            with self._changed:
                self._in_progress -= 1
                self._changed.notify_all()
