"""The checks that `doctor` runs when the settings are valid, with their names and time limits."""

from collections.abc import Iterator
from functools import partial

from glam_node.node.cli import checks_of_destinations as destinations
from glam_node.node.cli import checks_of_peers as peers
from glam_node.node.cli import checks_of_servers as servers
from glam_node.node.cli import checks_of_sources as sources
from glam_node.node.cli.checks import CheckTask
from glam_node.node.cli.checks_of_broker import check_broker
from glam_node.node.cli.checks_of_database import check_database
from glam_node.node.cli.checks_of_files import check_certificates, check_secrets, check_templates
from glam_node.node.cli.checks_of_hl7 import check_hl7
from glam_node.node.cli.checks_of_host import check_ports, check_retention, check_storage
from glam_node.node.cli.checks_of_model import check_model
from glam_node.node.cli.checks_of_priors import check_priors
from glam_node.settings.schema import Settings

DISK_S = 60.0
DATABASE_S = 40.0
MODEL_S = 300.0
SELF_TEST_S = 900.0
OTHER_LINES = (
    *("packages", "decoders", "settings", "environment", "disk speed", "port", "TLS port", "console port", "HL7 port"),
    *(
        "HL7 port answers",
        "orders",
        "sign-in client",
        "clock",
        "deliveries",
        "workers",
        "console",
        "route",
        "golden case",
    ),
)
"""Names of printed lines that are not the name of a task. Others are named after a section or key of the settings."""


def disk_task(settings: Settings) -> CheckTask:
    """Return the task that measures the disk of storage.root."""
    return CheckTask("storage", lambda: check_storage(settings), DISK_S)


def other_tasks(settings: Settings) -> Iterator[CheckTask]:
    """Yield all tasks except `disk_task` and `self_test_task`, in the order in which `doctor` prints them."""
    yield CheckTask("retention", lambda: check_retention(settings))
    yield CheckTask("ports", lambda: check_ports(settings))
    yield CheckTask("AE titles", lambda: [peers.check_ae_titles(settings)])
    yield CheckTask("certificates", lambda: check_certificates(settings))
    yield CheckTask("secrets", lambda: check_secrets(settings))
    yield CheckTask("templates", lambda: check_templates(settings))
    yield CheckTask("C-ECHO", lambda: peers.check_receiver(settings))
    limit_s = servers.sign_in_limit_s(settings.console.oidc)
    yield CheckTask("sign-in provider", lambda: servers.check_sign_in(settings), limit_s)
    yield CheckTask("database", lambda: check_database(settings), DATABASE_S)
    yield CheckTask("broker", lambda: check_broker(settings))
    yield CheckTask("peers", lambda: [peers.check_peers(settings)])
    if not settings.destinations:
        yield CheckTask("destinations", lambda: [destinations.missing_destinations()])
    for name, destination in settings.destinations.items():
        run = partial(destinations.check_destination, name, settings)
        yield CheckTask(f"destinations.{name}", run, destinations.limit_s(destination))
    for name, source in settings.sources.items():
        run = partial(sources.check_source, name, settings)
        yield CheckTask(f"sources.{name}", run, sources.limit_s(source))
    yield CheckTask("hl7", lambda: check_hl7(settings))
    yield CheckTask("canary", lambda: peers.check_canary(settings))
    yield CheckTask("prior exams", lambda: check_priors(settings))
    yield CheckTask("audit", lambda: servers.check_audit_collector(settings), settings.audit.timeout * 3)
    limit_s = 3 * (settings.alerts.timeout + settings.telemetry.timeout)
    yield CheckTask("channels", lambda: servers.check_channels(settings), limit_s)
    yield CheckTask("model", lambda: check_model(settings), MODEL_S)


def self_test_task(settings: Settings) -> CheckTask:
    """Return the task that sends a phantom exam through a separate node."""
    from glam_node.node.cli.self_test import run_self_test

    return CheckTask("self-test", lambda: run_self_test(settings), SELF_TEST_S)
