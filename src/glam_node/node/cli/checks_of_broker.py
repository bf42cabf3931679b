"""The check of `doctor` for the broker: connection, version, memory, eviction and clock."""

import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tenacity import Retrying, stop_after_delay, wait_fixed

from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_database import compare_clocks
from glam_node.node.errors import NodeError, TransientError
from glam_node.settings.schema import Settings

BROKER_START_S = 5.0
OLDEST_REDIS = (6, 0)
NO_EVICTION = "noeviction"
MOST_MEMORY = 0.9
# By the names of worker.broker.BrokerTrouble, which is imported late
_REMEDIES = {
    "PASSWORD_REQUIRED": "The broker requires a password. Set broker_url to redis://:PASSWORD@host:6379/0.",
    "PASSWORD_REJECTED": "The broker rejects the user or password. Correct them in broker_url.",
    "CERTIFICATE": "Check ssl_ca_certs in broker_url, and the certificate of that Redis.",
    "NO_TLS": "This port does not accept TLS. Use redis:// in broker_url, or the TLS port of the broker.",
    "CLOSED": "This port may accept only TLS. Use rediss:// in broker_url, or the plain port of the broker.",
    "OTHER": "Start that Redis, or correct broker_url.",
}


def check_broker(settings: Settings) -> Iterator[Check]:
    """Check that the configured broker answers and keeps messages, or that the embedded broker can start."""
    if not settings.broker_url:
        yield _check_embedded_broker()
        return
    from glam_node.node.worker.broker import facts, trouble_of
    from glam_node.settings.urls import without_password

    shown = without_password(settings.broker_url)
    try:
        found = facts(settings.broker_url)
    except TransientError as error:
        yield Check("broker", Verdict.FAIL, str(error), _REMEDIES[trouble_of(error).name])
        return
    said = f"{shown} answers: version {found.version}, {found.eviction}"
    if not settings.broker_url.startswith(("rediss:", "redis+socket:")):
        said += ", without TLS"
    if found.is_replica:
        remedy = "A replica accepts no messages. Name the primary in broker_url, or promote this replica."
        yield Check("broker", Verdict.FAIL, f"{said}; it is a read-only replica", remedy)
    elif found.memory_limit and found.memory_used >= MOST_MEMORY * found.memory_limit:
        full = found.memory_used >= found.memory_limit
        used = f"{found.memory_used / 1e6:.1f} of {found.memory_limit / 1e6:.1f} MB (maxmemory) are used"
        remedy = "A full broker accepts no messages, and jobs wait. Raise its maxmemory, or remove other data from it."
        yield Check("broker", Verdict.FAIL if full else Verdict.WARN, f"{said}; {used}", remedy)
    elif found.eviction != NO_EVICTION:
        remedy = (
            f"The broker may discard messages about jobs, which then wait. Set its maxmemory-policy to {NO_EVICTION}."
        )
        yield Check("broker", Verdict.WARN, said, remedy)
    elif tuple(int(part) for part in found.version.split(".")[:2]) < OLDEST_REDIS:
        yield Check("broker", Verdict.WARN, said, "Versions before 6.0 are not tested. Upgrade the broker.")
    else:
        yield Check("broker", Verdict.OK, said)
    yield compare_clocks("the broker", found.time, datetime.now(UTC))


def _check_embedded_broker() -> Check:
    """Start an embedded broker in a temporary directory, because a node may use the one in storage.root."""
    from glam_node.node.worker.broker import ping
    from glam_node.node.worker.embedded_broker import embedded_broker

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
                "broker", Verdict.FAIL, f"the embedded broker does not start: {error}", "Set broker_url to a Redis."
            )
        finally:
            process.terminate()
            process.wait(BROKER_START_S)
    return Check("broker", Verdict.OK, "the embedded broker starts and answers")
