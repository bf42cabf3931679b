"""The check of `doctor` for the broker: connection, version, memory, eviction and clock."""

import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tenacity import Retrying, stop_after_delay, wait_fixed

from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_database import compare_clocks
from glam_node.node.errors import NodeError
from glam_node.settings.schema import Settings

BROKER_START_S = 5.0
OLDEST_REDIS = (6, 0)
NO_EVICTION = "noeviction"
MOST_MEMORY = 0.9
WANTS_PASSWORD = "It wants a password: redis://:PASSWORD@host:6379/0 in broker_url."  # noqa: S105 - a remedy


def check_broker(settings: Settings) -> Iterator[Check]:
    """Check that the configured broker answers and keeps messages, or that the embedded broker can start."""
    if not settings.broker_url:
        yield _check_embedded_broker()
        return
    from glam_node.node.worker.broker import facts
    from glam_node.settings.urls import without_password

    shown = without_password(settings.broker_url)
    try:
        found = facts(settings.broker_url)
    except NodeError as error:
        yield Check("broker", Verdict.FAIL, str(error), _remedy(str(error)))
        return
    said = f"{shown} answers: version {found.version}, {found.eviction}"
    if not settings.broker_url.startswith(("rediss:", "redis+socket:")):
        said += ", without TLS"
    if found.is_replica:
        remedy = "It takes no messages: name the primary in broker_url, or make this one the primary."
        yield Check("broker", Verdict.FAIL, f"{said}; it is a read-only replica", remedy)
    elif found.memory_limit and found.memory_used >= MOST_MEMORY * found.memory_limit:
        full = found.memory_used >= found.memory_limit
        used = f"{found.memory_used / 1e6:.1f} of {found.memory_limit / 1e6:.1f} MB (maxmemory) are used"
        remedy = "A full one takes no messages and jobs wait: raise maxmemory there, or remove what else it holds."
        yield Check("broker", Verdict.FAIL if full else Verdict.WARN, f"{said}; {used}", remedy)
    elif found.eviction != NO_EVICTION:
        remedy = f"Set maxmemory-policy {NO_EVICTION} there: it may throw away what announces jobs, which then wait."
        yield Check("broker", Verdict.WARN, said, remedy)
    elif tuple(int(part) for part in found.version.split(".")[:2]) < OLDEST_REDIS:
        yield Check("broker", Verdict.WARN, said, "Older than 6.0 is not tested: upgrade it.")
    else:
        yield Check("broker", Verdict.OK, said)
    yield compare_clocks("the broker", found.time, datetime.now(UTC))


def _remedy(message: str) -> str:
    for word, remedy in (
        ("HELLO must be called with the client already authenticated", WANTS_PASSWORD),
        ("Authentication required", WANTS_PASSWORD),
        ("invalid username-password", "The user or password in broker_url is not the one that it wants."),
        ("certificate", "Check ssl_ca_certs in broker_url, and the certificate of that Redis."),
        ("SSL", "It does not speak TLS there: redis:// instead of rediss://, or its TLS port."),
        ("Connection closed", "Does it speak TLS there? rediss:// instead of redis://, or its plain port."),
    ):
        if word in message:
            return remedy
    return "Start that Redis, or correct broker_url."


def _check_embedded_broker() -> Check:
    """Start an embedded broker in a temporary directory, because a node may use the one in storage.root."""
    from glam_node.node.worker.broker import embedded_broker, ping

    with tempfile.TemporaryDirectory(prefix="glam-node-") as directory:
        try:
            broker = embedded_broker(Path(directory))
            process = subprocess.Popen(broker.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (NodeError, OSError) as error:
            return Check("broker", Verdict.FAIL, str(error), "Set broker_url to a Redis.")
        try:
            # The socket file exists a moment before the broker accepts connections.
            Retrying(stop=stop_after_delay(BROKER_START_S), wait=wait_fixed(0.02), reraise=True)(ping, broker.url)
        except NodeError as error:
            return Check(
                "broker", Verdict.FAIL, f"the embedded one does not start: {error}", "Set broker_url to a Redis."
            )
        finally:
            process.terminate()
            process.wait(BROKER_START_S)
    return Check("broker", Verdict.OK, "the embedded one starts and answers")
