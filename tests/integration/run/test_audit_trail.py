"""The audit trail of running processes, complete at the collector in spite of killed processes and outages."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from glam_node.node.db import audit, audit_messages
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.event import EventKind
from tests.certificates import Authority, Signed
from tests.command_line import glam_node
from tests.integration.collector import Collector
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.postgresql import execute, postgresql_server, url_of
from tests.integration.scp.raw import Sender
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.peer("redis-server")

KILLS = 4


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Signed:
    return authority.sign("node")


@pytest.fixture
def collector(authority: Authority) -> Collector:
    return Collector(authority.sign(f"collector{free_port()}"), free_port())


def audited(node: NodeDirectory, collector: Collector, ours: Signed) -> NodeDirectory:
    """Return the node with [audit] in its settings."""
    files = {"ca": ours.ca, "certificate": ours.certificate, "key": ours.key}
    lines = [f'{key} = "{path}"' for key, path in files.items()]
    text = "\n".join(["[audit]", 'host = "127.0.0.1"', f"port = {collector.port}", *lines])
    node.settings_path.write_text(f"{node.settings_path.read_text()}{text}\n")
    return node


@pytest.fixture
def node(collector: Collector, ours: Signed, redis_url: str, tmp_path: Path) -> NodeDirectory:
    """Return a node that sends audit messages to the collector."""
    return audited(write_node(tmp_path, broker_url=redis_url), collector, ours)


@pytest.fixture
def node_on_postgresql(collector: Collector, ours: Signed, redis_url: str, tmp_path: Path) -> Iterator[NodeDirectory]:
    """Yield such a node with its database in PostgreSQL."""
    with postgresql_server() as socket_directory:
        execute(socket_directory, "CREATE DATABASE node")
        database_url = url_of(socket_directory, "node")
        yield audited(write_node(tmp_path, broker_url=redis_url, database_url=database_url), collector, ours)


@contextmanager
def opened(node: NodeDirectory) -> Iterator[SessionFactory]:
    """Open the node's database."""
    sessions = node.build().sessions
    try:
        yield sessions
    finally:
        sessions.kw["bind"].dispose()


def starts(sessions: SessionFactory) -> int:
    with sessions() as session:
        return audit.counts(session, [EventKind.PROCESS_STARTED])[EventKind.PROCESS_STARTED]


def is_all_sent(sessions: SessionFactory) -> bool:
    """Return whether all events are reported; in this order, since the second query sees also later rows."""
    with sessions() as session:
        return not audit.without_message(session, 1) and audit_messages.counts(session)[1] == 0


@pytest.mark.parametrize("database", ["node", pytest.param("node_on_postgresql", marks=pytest.mark.peer("postgresql"))])
def test_audit_messages_survive_kills_of_the_dispatcher_and_outages_of_the_collector(
    database: str, request: pytest.FixtureRequest, collector: Collector
) -> None:
    node: NodeDirectory = request.getfixturevalue(database)
    chance = random.Random(5)
    for number in range(KILLS):
        with ExitStack() as stack:
            if number % 2:
                stack.enter_context(collector.running())
            (dispatcher,) = stack.enter_context(node.running("dispatcher"))
            time.sleep(chance.uniform(0, 1))
            os.kill(dispatcher.pid, signal.SIGKILL)
    with node.running("dispatcher"), collector.running(), opened(node) as sessions:
        wait_until(lambda: is_all_sent(sessions))
        sent = {record.sequence: record.message for record in collector.records}
        with sessions() as session:
            assert audit_messages.first_fault(session) is None
        assert sorted(sent) == list(range(1, len(sent) + 1))
        assert sum(b"Application Start" in message for message in sent.values()) == starts(sessions) == KILLS + 1
    shown = json.loads(glam_node("--settings", node.settings_path, "audit", "show", "--json").stdout)
    assert {row["event"] for row in shown} >= {"Application Activity, Application Start"}
    assert "all unchanged" in glam_node("--settings", node.settings_path, "audit", "verify").stdout


def events_of(collector: Collector) -> Counter[str]:
    """Return the number of messages by event and outcome."""
    roots = [ElementTree.fromstring(record.message) for record in collector.records]
    identified = [(root[0][0].attrib["originalText"], root[0].attrib["EventOutcomeIndicator"]) for root in roots]
    return Counter(f"{meaning} {outcome}" for meaning, outcome in identified)


def test_the_collector_gets_messages_on_a_study_a_rejected_sender_and_changed_settings(
    node: NodeDirectory, collector: Collector
) -> None:
    with node.running("receiver", "dispatcher") as (receiver, _), collector.running():
        port = int(receiver.word or 0)
        send(port, small_exam(1))
        with Sender(port) as stranger:
            assert stranger.associate(calling="STRANGER") == 3
        wait_until(lambda: "DICOM Instances Transferred 0" in events_of(collector), seconds=40)
    told = events_of(collector)
    assert (told["Security Alert 4"], told["Security Alert 0"], told["Application Activity 0"]) == (1, 1, 2)
    (transfer,) = [record.message for record in collector.records if b"110104" in record.message]
    assert b'NumberOfInstances="4"' in transfer
    node.settings_path.write_text(node.settings_path.read_text() + "timeout = 9\n")
    with node.running("dispatcher"), collector.running():
        wait_until(lambda: events_of(collector)["Security Alert 0"] == 2)
    assert events_of(collector)["Application Activity 0"] >= 4
