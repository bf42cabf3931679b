"""Overlap of jobs: a worker prepares another job while one is on the device."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from celery.exceptions import Reject

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.2


class JobOverlap:
    """Runner of up to `places` jobs at a time, each in a separate thread.

    A job that was started before may have killed its worker. So it runs alone, and no other job can be lost with it.
    The message of a job may be acknowledged before the job ends. If the worker is lost then, the job is announced again
    after its lease in the database has expired.
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
        """Start a job, and return when there is room for another one; a job that runs alone has then ended.

        The method waits for room after the start and not before. Otherwise a busy worker would keep a message that a
        free worker could take.

        Raises:
            Reject: The worker stops before the job starts; the message returns to the broker.
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
        """Wait until no job is in progress."""
        self._threads.shutdown(wait=True)

    def _wait_until_at_most(self, count: int) -> None:
        """Wait until at most `count` jobs are in progress, or until the worker is asked to stop."""
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
            # The row of the job is unchanged, so the dispatcher announces the job again.
            log.error("job_not_run", job_id=job_id, failure=type(error).__name__)
        finally:
            with self._changed:
                self._in_progress -= 1
                self._changed.notify_all()
