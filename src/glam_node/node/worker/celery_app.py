"""The Celery application: each message is one job ID; there are no Celery results, and the database alone decides."""

from celery import Celery

from glam_node.node.domain.job import Priority
from glam_node.node.worker.broker import BROKER_TIMEOUT_S, QUEUE

TASK_NAME = "glam_node.run_job"


def create_app(broker_url: str) -> Celery:
    """Return an application for the broker at `broker_url`; it connects when it is first used."""
    app = Celery("glam-node", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # A message is acknowledged after the work, so that the broker delivers it again when a worker dies. A failed
        # job is acknowledged, too: its row has the time of the next attempt.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=BROKER_TIMEOUT_S,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0},
        broker_transport_options={
            # Each priority has a list of messages, which workers read in this order.
            "priority_steps": list(Priority),
            "socket_timeout": BROKER_TIMEOUT_S,
            "socket_connect_timeout": BROKER_TIMEOUT_S,
            "socket_keepalive": True,
        },
    )
    return app
