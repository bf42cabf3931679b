"""The Celery application: messages of one job id, no results, nothing decided by a message."""

from celery import Celery

from glam_node.node.domain.job import Priority

TASK_NAME = "glam_node.run_job"
QUEUE = "glam-node"
BROKER_TIMEOUT_S = 5.0

# As Kombu names the lists of a queue: that of the highest priority has no mark.
_MARK = "\x06\x16"


def list_of(priority: Priority) -> str:
    """The broker's list with the messages of that priority."""
    return f"{QUEUE}{_MARK}{priority:d}" if priority else QUEUE


def create_app(broker_url: str) -> Celery:
    """An application that rings and hears on the broker at `broker_url`; nothing connects before it is used."""
    app = Celery("glam-node", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # A message is acknowledged after the work, so that a broker that outlives a worker rings again by itself;
        # a failed job is acknowledged too: when to try again is written on its row.
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
            # A list of messages for each, which workers look into in this order.
            "priority_steps": list(Priority),
            "socket_timeout": BROKER_TIMEOUT_S,
            "socket_connect_timeout": BROKER_TIMEOUT_S,
            "socket_keepalive": True,
        },
    )
    return app
