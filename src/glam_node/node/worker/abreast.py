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
    The message of a job is acknowledged when its job is begun; its row and its lease are what bring it back.
    """

    def __init__(
        self, run: Callable[[str], object], begun_before: Callable[[str], bool], stop: threading.Event, places: int
    ) -> None:
        self._run = run
        self._begun_before = begun_before
        self._stop = stop
        self._places = places
        self._free = threading.Semaphore(places)
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="job")

    def begin(self, job_id: str) -> None:
        """The job is in progress, or over where it has the process to itself.

        Waits for its place. Raises Reject, which puts its message back, when the worker stops before there is one.
        """
        if self._places == 1 or self._begun_before(job_id):
            self._take(self._places)
            try:
                self._run(job_id)
            finally:
                self._free.release(self._places)
        else:
            self._take(1)
            self._threads.submit(self._run_beside, job_id)

    def finish(self) -> None:
        """No job is in progress any more."""
        self._threads.shutdown(wait=True)

    def _take(self, places: int) -> None:
        for taken in range(places):
            while not self._free.acquire(timeout=_LOOK_EVERY_S):
                if self._stop.is_set():
                    if taken:
                        self._free.release(taken)
                    raise Reject("The worker stops.", requeue=True)

    def _run_beside(self, job_id: str) -> None:
        try:
            self._run(job_id)
        except Exception as error:
            # Its row is as it was: the dispatcher rings again.
            log.error("job_not_run", job_id=job_id, failure=type(error).__name__)
        finally:
            self._free.release()
