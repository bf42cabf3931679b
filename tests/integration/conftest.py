"""Real servers on free ports, shared by all integration tests."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from tests.certificates import Authority
from tests.integration.archive import Archive, listening
from tests.integration.redis_server import redis_server
from tests.ports import free_port


@pytest.fixture(scope="session")
def _session_archive() -> Iterator[Archive]:
    with listening(Archive()) as running:
        yield running


@pytest.fixture
def archive(_session_archive: Archive) -> Archive:
    """Yield a Storage SCP on a free port that keeps what it receives in this test."""
    _session_archive.forget()
    return _session_archive


@pytest.fixture(scope="session")
def _session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis"), free_port()) as url:
        yield url


@pytest.fixture
def redis_url(_session_redis: str) -> Iterator[str]:
    """Yield the URL of an empty Redis; a test that uses it is marked `peer("redis-server")`."""
    with closing(redis.from_url(_session_redis)) as client:
        client.flushall()
        yield _session_redis


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that signs the certificates of one module's tests."""
    return Authority(tmp_path_factory.mktemp("tls") / "authority")
