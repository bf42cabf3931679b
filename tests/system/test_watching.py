"""Monitoring of a node on several hosts: alerts, audit messages, traces, metrics, health and logs."""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from glam_node.node.db import audit
from glam_node.node.db.engine import open_database
from glam_node.node.domain.event import EventKind
from glam_node.settings.alerts import ALERTS
from tests.certificates import Authority, Signed
from tests.integration.mail_server import PASSWORD, Mailbox, mail_server
from tests.integration.modality import MODALITY
from tests.integration.postgresql import guarded_postgresql_server
from tests.integration.redis_server import guarded_redis_server
from tests.integration.rsyslog import rsyslog
from tests.integration.scp.raw import Sender
from tests.ports import free_port
from tests.posts import Posts
from tests.preloaded import Popen
from tests.system.node_process import GLAM_NODE
from tests.system.site import Site, running_site
from tests.waiting import wait_for_listener, wait_until

pytestmark = [
    *(pytest.mark.peer(name) for name in ("dcmtk", "redis-server", "postgresql", "rsyslog")),
    pytest.mark.timeout(400),
]


@dataclass
class Watchers:
    """The receivers of alerts, audit messages and traces."""

    hook: Posts
    mailbox: Mailbox
    traces: Posts
    collected: Path

    def told(self, phase: str = "begins") -> Counter[str]:
        """Return the number of messages that the webhook received, by alert."""
        posted = [json.loads(body) for body in self.hook.bodies]
        return Counter(one["alert"] for one in posted if one["state"] == phase)

    def mailed(self) -> set[str]:
        """Return the alerts whose beginning was mailed."""
        subjects = [str(mail["Subject"]) for mail in self.mailbox.mails]
        return {subject.split()[2] for subject in subjects if subject.endswith("begins")}


@dataclass
class Place:
    """The site, the services that it needs, and those that watch it."""

    site: Site
    watchers: Watchers
    authority: Authority
    processes: ExitStack
    database_url: str


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def place(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("site")
    signed = authority.sign("servers")
    (root / "password").write_text(f"{PASSWORD}\n")
    (root / "password").chmod(0o600)
    mailbox, hook, traces = Mailbox(), Posts("/alerts", ill_status=503), Posts("/v1/traces", ill_status=503)
    audit_port, redis_port, postgresql_port = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        database_url = stack.enter_context(guarded_postgresql_server(postgresql_port, signed, "pass-word"))
        broker_url = stack.enter_context(guarded_redis_server(root, redis_port, signed, "pass-word"))
        mail_port = stack.enter_context(mail_server(mailbox, authority))
        collected = stack.enter_context(rsyslog(root, authority.sign("collector"), audit_port))
        stack.enter_context(hook.listening())
        stack.enter_context(traces.listening())
        settings: dict[str, Any] = {
            "database_url": database_url,
            "broker_url": broker_url,
            "destinations": {"down": {"port": free_port(), "timeout": 5.0}},
            "assembly": {"quiet_time": 3.0},
            "delivery": {"initial_delay": 0.3, "maximum_delay": 0.3, "maximum_attempts": 40},
            "storage": {"minimum_free_bytes": int(shutil.disk_usage(root).free * 0.6)},
            "alerts": {
                "webhook_url": f"{hook.url}/alerts",
                "smtp_host": "localhost",
                "smtp_port": mail_port,
                "smtp_security": "starttls",
                "smtp_user": "node",
                "smtp_password_path": root / "password",
                "smtp_ca": signed.ca,
                "sender": "node@hospital.example",
                "recipients": ["it@hospital.example"],
                "timeout": 20.0,
                "which": sorted(ALERTS),
                "archive_down_after": 1.0,
                "backlog_after": 1.0,
                "worker_gone_after": 1.0,
                "no_studies_after": 1.0,
                "score_drift": 0.2,
            },
            "audit": {
                "host": "localhost",
                "port": audit_port,
                "ca": signed.ca,
                "certificate": signed.certificate,
                "key": signed.key,
                "server_name": "127.0.0.1",
                "timeout": 20.0,
            },
            "canary": {"every": 3600.0, "limit": 0.1},
            "telemetry": {"otlp_endpoint": traces.url, "timeout": 20.0},
            "console": {"host": "localhost", "port": free_port()},
            "log": {"level": "info", "format": "json"},
        }
        site = stack.enter_context(running_site(root, settings))
        yield Place(site, Watchers(hook, mailbox, traces, collected), authority, stack, database_url)


@contextmanager
def process(site: Site, role: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run `glam-node worker` or `receiver` in addition to the node, as on another host."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GLAM_NODE")}
    environment |= {f"GLAM_NODE__{name}": str(value) for name, value in settings.items()}
    with (site.path.parent / f"{role}.log").open("ab") as log:
        command = [str(GLAM_NODE), "--settings", str(site.path), role]
        running = Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield running
    finally:
        running.terminate()
        assert running.wait(60) == 0


def asked(site: Site, path: str) -> str:
    """Return the console's answer."""
    port = json.loads((site.storage / "in-force.json").read_text())["console"]["port"]
    with (
        suppress(urllib.error.HTTPError),
        urllib.request.urlopen(f"http://localhost:{port}{path}", timeout=60) as answer,
    ):
        return str(answer.read().decode())
    return ""


def have_drifted(place: Place) -> None:
    """Record twenty analyses whose scores are far from the reference of their package."""
    sessions = open_database(place.database_url)
    facts: dict[str, Any] = {
        "algorithm_version": "1",
        "mean_scores": {"malignant": 0.9},
        "reference_scores": {"malignant": 0.1},
    }
    with sessions.begin() as session:
        for _ in range(20):
            audit.record(session, EventKind.JOB_SUCCEEDED, datetime.now(UTC), **facts)
    sessions.kw["bind"].dispose()


@pytest.mark.features(
    *("alerts.which", "alerts.which = *", "alerts.archive_down_after", "alerts.backlog_after"),
    *("alerts.worker_gone_after", "alerts.no_studies_after", "alerts.score_drift", "alerts.webhook_url"),
    *("alerts.smtp_host", "alerts.smtp_port", "alerts.smtp_security = starttls", "alerts.smtp_user", "alerts.sender"),
    *("alerts.smtp_password_path", "alerts.smtp_ca", "alerts.recipients", "alerts.timeout"),
    *("delivery.initial_delay", "delivery.maximum_delay", "delivery.maximum_attempts", "destinations.NAME.timeout"),
    *("glam-node worker", "glam-node receiver", "glam-node study keep-first", "broker_url", "broker_url = rediss"),
    *("database_url", "database_url = postgresql+psycopg"),
)
def test_two_receivers_and_two_workers_read_studies_and_every_alert_is_told_by_webhook_and_mail(place: Place) -> None:
    site, told = place.site, place.watchers.told
    second = free_port()
    place.processes.enter_context(process(site, "receiver", NODE__PORT=second))
    first_study = site.send_exam(731)
    wait_until(lambda: set(told()) >= {"backlog_growing", "worker_gone", "no_studies", "disk_low"}, 60, told)
    for _ in range(2):
        place.processes.enter_context(process(site, "worker"))
    other = Site(site.path, second)
    wait_for_listener(second)
    studies = [first_study, other.send_exam(732), site.send_exam(733)]
    for study in studies:
        site.wait_for(study)
    wait_until(lambda: set(told("over")) >= {"backlog_growing", "worker_gone"}, 60, lambda: told("over"))
    have_drifted(place)
    site.send_exam(734, ImageType=["DERIVED", "PRIMARY", "", "GENERATED_2D"])
    site.send_exam(733, PatientID="CORRECTED")
    wait_until(lambda: set(told()) == set(ALERTS), 90, told)
    wait_until(lambda: place.watchers.mailed() == set(ALERTS), told=lambda: place.watchers.mailed())
    assert {len(site.study(study)["jobs"]) for study in studies} == {1}
    assert "CORRECTED" not in str(place.watchers.hook.bodies)
    site.command("keep-first", studies[2], "--reason", "the first is right")
    wait_until(lambda: "images_in_doubt" in told("over"), told=lambda: told("over"))


@pytest.mark.features("audit.*", "glam-node audit show", "glam-node audit verify")
def test_audit_messages_are_in_the_file_of_rsyslog(place: Place) -> None:
    collected = place.watchers.collected
    wait_until(lambda: b"DICOM Instances Transferred" in collected.read_bytes(), told=collected.read_text)
    assert b"Application Start" in collected.read_bytes()
    assert "DICOM Instances Transferred" in place.site.command("audit", "show", "--json")
    assert "all unchanged" in place.site.command("audit", "verify")


@pytest.mark.features("telemetry.*")
def test_the_steps_of_a_study_are_spans_at_the_collector(place: Place) -> None:
    wait_until(lambda: bool(place.watchers.traces.bodies))
    wait_until(lambda: any(b"glam_node" in body for body in place.watchers.traces.bodies))


@pytest.mark.features("console.host", "console.port")
def test_monitoring_reads_metrics_and_health(place: Place) -> None:
    assert asked(place.site, "/healthz") == "ok\n"
    wait_until(lambda: 'glam_node_studies{state="REPORTED"} 3' in asked(place.site, "/metrics"))


@pytest.mark.features("log.level", "log.level = *", "log.format", "log.format = *")
def test_the_log_holds_lines_of_the_severity_that_the_site_asks_for(place: Place) -> None:
    for level, written in WRITTEN.items():
        assert severities(logged_by_a_receiver(place, LOG__LEVEL=level, LOG__FORMAT="json")) == written, level
    assert logged_by_a_receiver(place, LOG__LEVEL="error", LOG__FORMAT="console") == []


WRITTEN = {"debug": {"debug", "info", "warning"}, "info": {"info", "warning"}, "warning": {"warning"}}


def severities(lines: list[str]) -> set[str]:
    """Return the severities in a JSON log."""
    return {json.loads(line)["level"] for line in lines}


def logged_by_a_receiver(place: Place, **settings: str) -> list[str]:
    """Return the log of a receiver that sees an empty connection, an unknown peer and a known one."""
    port = free_port()
    log = place.site.path.parent / "receiver.log"
    start = log.stat().st_size if log.exists() else 0
    with process(place.site, "receiver", NODE__PORT=port, **settings):
        wait_for_listener(port)
        with socket.create_connection(("127.0.0.1", port)):
            pass
        with Sender(port) as stranger:
            assert stranger.associate(calling="STRANGER") == 3
        with Sender(port) as known:
            assert known.associate(calling=MODALITY) == 2
    lines = log.read_bytes()[start:].decode().splitlines()
    return [line for line in lines if not line.startswith("glam-node: listening on")]


@pytest.mark.features(
    "alerts.smtp_security", "alerts.smtp_security = tls", "alerts.smtp_security = none", "glam-node alerts test"
)
def test_mails_go_out_with_the_security_that_the_server_wants(place: Place, tmp_path: Path) -> None:
    for security in ("tls", "none"):
        assert b"This is a test." in mailed_by_a_test(place, security, tmp_path)


def mailed_by_a_test(place: Place, security: str, directory: Path) -> bytes:
    """Return the mail that `glam-node alerts test` sends through a server with this kind of security."""
    signed: Signed = place.authority.sign(security)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate, signed.key)
    mails: list[bytes] = []

    class Taking:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            mails.append(envelope.content)
            return "250 Taken"

    server = Controller(Taking(), "127.0.0.1", free_port(), ssl_context=context if security == "tls" else None)
    server.start()
    try:
        (directory / "node.toml").write_text(
            f'[alerts]\nsmtp_host = "localhost"\nsmtp_port = {server.port}\nsmtp_security = "{security}"\n'
            f'smtp_ca = "{signed.ca}"\nsender = "node@hospital.example"\nrecipients = ["it@hospital.example"]\n'
        )
        assert Site(directory / "node.toml", 0).command("alerts", "test") == "ok    mail\n"
    finally:
        server.stop()
    return mails[0]
