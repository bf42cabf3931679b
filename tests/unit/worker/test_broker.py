"""The embedded broker, and messages about another one."""

import stat
from pathlib import Path

import pytest
import redis

from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.worker.broker import broker_url, facts
from glam_node.node.worker.embedded_broker import LONGEST_SOCKET_PATH, embedded_broker
from glam_node.settings.schema import Settings


def test_the_embedded_broker_is_reachable_by_its_own_user_alone(tmp_path: Path) -> None:
    broker = embedded_broker(tmp_path)
    assert stat.S_IMODE(broker.directory.stat().st_mode) == 0o700
    assert "--port 0" in " ".join(broker.command())


@pytest.mark.parametrize("depth", [1, 40])
def test_the_socket_has_a_path_that_every_system_accepts(depth: int, tmp_path: Path) -> None:
    broker = embedded_broker(tmp_path.joinpath(*["storage"] * depth))
    assert len(str(broker.socket_path)) <= LONGEST_SOCKET_PATH
    assert broker.directory.is_dir()


def test_a_worker_without_a_broker_url_is_told_to_set_one() -> None:
    with pytest.raises(PermanentError, match="Set broker_url"):
        broker_url(Settings())


def test_the_embedded_broker_of_any_storage_root_is_reached_by_its_url(tmp_path: Path) -> None:
    broker = embedded_broker(tmp_path / "my #node?")
    reached = redis.from_url(broker.url.replace("redis+socket", "unix")).connection_pool.connection_kwargs["path"]
    assert reached == str(broker.socket_path)
    assert broker_url(Settings(broker_url=broker.url)) == broker.url


def test_the_message_about_an_unreachable_broker_has_whole_sentences() -> None:
    with pytest.raises(TransientError, match=r"refused\. Check broker_url\.$"):
        facts("redis://127.0.0.1:1/0")
