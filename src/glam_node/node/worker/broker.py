"""Questions to the broker: the embedded one, or a Redis server for several hosts."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from glam_node.node.domain.job import Priority
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError, TransientError
from glam_node.settings.schema import Settings
from glam_node.settings.urls import without_password

QUEUE = "glam-node"
BROKER_TIMEOUT_S = 5.0

# Kombu appends this mark and the priority to the name of a queue's list, except for the highest priority.
_PRIORITY_SEPARATOR = "\x06\x16"


def list_name(priority: Priority) -> str:
    """Return the name of the broker's list with the messages of that priority."""
    return f"{QUEUE}{_PRIORITY_SEPARATOR}{priority:d}" if priority else QUEUE


def broker_url(settings: Settings) -> str:
    """Return the URL of the broker; `glam-node serve` sets it to the embedded broker for its child processes.

    Raises:
        PermanentError: `broker_url` is empty.
    """
    if not settings.broker_url:
        raise PermanentError(
            "broker_url is empty: the embedded broker serves the worker that `glam-node serve` starts, and no other. "
            "Set broker_url to a Redis that both can reach."
        )
    return settings.broker_url


def ping(url: str) -> None:
    """Check that a broker answers at `url`.

    Raises:
        TransientError: No broker answers.
    """
    _ask(url, lambda client: client.ping())


def messages_waiting(url: str) -> int:
    """Return the number of messages that no worker has taken.

    Raises:
        TransientError: The broker does not answer.
    """
    return sum(waiting_by_priority(url).values())


def waiting_by_priority(url: str) -> dict[Priority, int]:
    """Return the number of messages that no worker has taken, by priority.

    Raises:
        TransientError: The broker does not answer.
    """
    return dict(_ask(url, lambda client: {priority: client.llen(list_name(priority)) for priority in Priority}))


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """Facts that a broker states about itself."""

    version: str
    eviction: str
    """Policy for removing keys when its memory is full (maxmemory-policy)."""
    time: datetime
    is_replica: bool
    memory_used: int
    """Used memory in bytes."""
    memory_limit: int
    """Memory limit in bytes; 0 for none."""


def facts(url: str) -> BrokerFacts:
    """Return facts about the broker at `url`.

    Raises:
        TransientError: The broker does not answer.
    """
    info, (seconds, microseconds) = _ask(url, lambda client: (client.info(), client.time()))
    version, eviction = str(info.get("redis_version", "")), str(info.get("maxmemory_policy", ""))
    at = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    is_replica = info.get("role") not in (None, "master")
    return BrokerFacts(
        version, eviction, at, is_replica, int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    )


def workers_waiting(url: str) -> int:
    """Return the number of workers that wait for a message: connections that are blocked in BRPOP."""
    clients = _ask(url, lambda client: client.client_list())
    return sum(client.get("cmd") == "brpop" for client in clients)


class BrokerTrouble(Enum):
    """Reason why a broker cannot be used."""

    PASSWORD_REQUIRED = "password required"  # noqa: S105 - no password
    PASSWORD_REJECTED = "password rejected"  # noqa: S105 - no password
    CERTIFICATE = "certificate not accepted"
    NO_TLS = "no TLS"
    CLOSED = "connection closed without an answer"
    OTHER = "other"


def trouble_of(error: TransientError) -> BrokerTrouble:
    """Return the reason by the errors behind an error that a function of this module raised."""
    behind = list(_behind(error))
    if found := next((one for one in behind if isinstance(one, AuthenticationError)), None):
        is_required = getattr(found, "status_code", "") == "NOAUTH"
        return BrokerTrouble.PASSWORD_REQUIRED if is_required else BrokerTrouble.PASSWORD_REJECTED
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in behind):
        return BrokerTrouble.CERTIFICATE
    if any(isinstance(one, ssl.SSLError) or _is_silence_in_handshake(one) for one in behind):
        return BrokerTrouble.NO_TLS
    of_system = next((one for one in behind if isinstance(one, OSError)), None)
    lost = isinstance(error.__cause__, redis.ConnectionError) and of_system is None
    return BrokerTrouble.CLOSED if lost or isinstance(of_system, ConnectionResetError) else BrokerTrouble.OTHER


def _is_silence_in_handshake(error: BaseException) -> bool:
    """Return whether the module ssl gave up waiting in a TLS handshake; it raises no SSLError for that."""
    return isinstance(error, TimeoutError) and "handshake" in str(error)


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that led to an error, the last one first."""
    seen = error.__cause__ or error.__context__
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _ask(url: str, question: Callable[[redis.Redis], Any]) -> Any:
    address = url.replace("redis+socket://", "unix://", 1)
    client = redis.from_url(address, socket_timeout=BROKER_TIMEOUT_S, retry=Retry(NoBackoff(), 0))
    try:
        return question(client)
    except (RedisError, OSError) as error:
        cause = ""
        if any(_is_silence_in_handshake(one) for one in (error, *_behind(error))):
            cause = "It accepts connections but does not answer in TLS; without TLS, its URL is redis://. "
        raise TransientError(
            f"Broker {without_password(url)} does not answer: {unstopped(error)}. {cause}Check broker_url."
        ) from error
    finally:
        client.close()
