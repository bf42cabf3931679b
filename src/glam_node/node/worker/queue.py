"""Job queues: one that announces jobs to other processes through a broker, and one that runs them in this process."""

from collections.abc import Callable

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from glam_node.node.domain.job import Priority
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import TransientError
from glam_node.node.worker.broker import waiting_by_priority
from glam_node.node.worker.celery_app import TASK_NAME
from glam_node.settings.urls import without_password

ENOUGH_MESSAGES = 100
"""Number of waiting messages above which no further one is needed."""


class CeleryQueue:
    """Queue that announces jobs to the workers through the broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def announce(self, job_id: str, priority: Priority) -> None:
        """Announce a job whose row is committed.

        Raises:
            TransientError: The broker cannot be reached.
        """
        try:
            self._app.send_task(TASK_NAME, args=[job_id], priority=priority)
        except (KombuError, RedisError, OSError) as error:
            url = without_password(self._app.conf.broker_url)
            raise TransientError(
                f"Broker {url} did not accept a message: {unstopped(error)}. The node tries again. Check broker_url."
            ) from error

    def full_priorities(self) -> set[Priority]:
        """Return the priorities whose list already holds enough messages.

        Jobs are announced repeatedly. Without a limit, the messages of a night without workers would fill the broker.

        Raises:
            TransientError: The broker cannot be reached.
        """
        waiting = waiting_by_priority(self._app.conf.broker_url)
        return {priority for priority, count in waiting.items() if count >= ENOUGH_MESSAGES}


class InlineQueue:
    """Queue that runs each job at once in the caller's thread: for tests, and for a node without workers."""

    def __init__(self, run: Callable[[str], object]) -> None:
        self._run = run

    def announce(self, job_id: str, priority: Priority) -> None:  # noqa: ARG002 - the caller has no other to do
        """Run the job, and return when it has ended."""
        self._run(job_id)
