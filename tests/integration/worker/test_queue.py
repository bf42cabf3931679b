"""The job queue on a real broker."""

import base64
import json
import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from glam_node.node.domain.job import Priority
from glam_node.node.errors import TransientError
from glam_node.node.worker.broker import QUEUE, messages_waiting, ping, waiting_by_priority
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.embedded_broker import EmbeddedBroker, embedded_broker
from glam_node.node.worker.queue import ENOUGH_MESSAGES, CeleryQueue
from glam_node.settings.schema import Settings
from tests.integration.redis_server import wait_for_broker
from tests.ports import free_port


@pytest.mark.peer("redis-server")
def test_a_message_is_json_and_carries_a_job_id_alone(redis_url: str) -> None:
    CeleryQueue(create_app(redis_url)).announce("job-1", Priority.URGENT)
    with closing(redis.from_url(redis_url)) as client:
        [message] = client.lrange(QUEUE, 0, -1)
    envelope = json.loads(message)
    arguments, keywords, _ = json.loads(base64.b64decode(envelope["body"]))
    assert envelope["content-type"] == "application/json"
    assert (arguments, keywords) == (["job-1"], {})


@pytest.mark.peer("redis-server")
def test_messages_that_no_worker_took_are_counted(redis_url: str) -> None:
    queue = CeleryQueue(create_app(redis_url))
    for job_id in ("one", "two", "two"):
        queue.announce(job_id, Priority.SCREENING)
    queue.announce("three", Priority.BACKFILL)
    assert waiting_by_priority(redis_url)[Priority.SCREENING] == 3
    assert messages_waiting(redis_url) == 4


@pytest.mark.peer("redis-server")
def test_announcements_stop_when_enough_messages_wait(redis_url: str) -> None:
    queue = CeleryQueue(create_app(redis_url))
    announcements = 0
    while Priority.URGENT not in queue.full_priorities():
        queue.announce("job-1", Priority.URGENT)
        announcements += 1
    assert announcements == ENOUGH_MESSAGES
    assert Priority.SCREENING not in queue.full_priorities(), "others are still announced"


def test_a_broker_that_is_away_is_transient_and_named_without_its_password() -> None:
    port = free_port()
    queue = CeleryQueue(create_app(f"redis://:secret@127.0.0.1:{port}/0"))
    with pytest.raises(TransientError, match=f"Broker redis://:[*]+@127.0.0.1:{port}/0 .* Check broker_url") as caught:
        queue.announce("job-1", Priority.URGENT)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("folder", ["storage", "a #1?%20[é]"])
def test_the_embedded_broker_takes_messages_and_can_be_started_again(folder: str) -> None:
    with TemporaryDirectory() as short:
        broker = embedded_broker(Path(short) / folder)
        assert Path(short) in broker.socket_path.parents
        assert Settings(broker_url=broker.url).broker_url == broker.url
        take_messages(broker)


def take_messages(broker: EmbeddedBroker) -> None:
    """Start the broker twice, and leave a message with it each time."""
    queue = CeleryQueue(create_app(broker.url))
    for _ in range(2):
        with subprocess.Popen(broker.command()) as process:
            wait_for_broker(broker.url)
            queue.announce("job-1", Priority.URGENT)
            assert messages_waiting(broker.url) == 1
            process.kill()
    with pytest.raises(TransientError):
        ping(broker.url)
