"""The checks of `doctor` for the webhook and mail server of alerts and for the collector of traces."""

from collections.abc import Callable, Iterator

from glam_node.node.bootstrap.alerts import mail_server
from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_secrets import check_secret
from glam_node.node.errors import NodeError
from glam_node.node.scu.mail import MailServer, check_mail_server
from glam_node.node.scu.otlp import check_collector
from glam_node.node.scu.webhook import check_webhook
from glam_node.settings.schema import Settings


def check_channels(settings: Settings) -> Iterator[Check]:
    """Check that each configured server answers, without sending it an alert or a trace."""
    alerts, telemetry = settings.alerts, settings.telemetry
    if alerts.webhook_url:
        remedy = "Alerts wait until it answers. `glam-node alerts test` posts one."
        yield _reached("alerts webhook", lambda: check_webhook(alerts.webhook_url, alerts.timeout), remedy)
    server = mail_server(settings)
    if server is not None and _has_password(server):
        remedy = "Alerts wait until it answers. `glam-node alerts test` sends one."
        yield _reached("alerts mail", lambda: check_mail_server(server), remedy)
    if telemetry.otlp_endpoint:
        remedy = "Traces wait until it answers; studies do not."
        yield _reached("telemetry", lambda: check_collector(telemetry.otlp_endpoint, telemetry.timeout), remedy)


def _has_password(server: MailServer) -> bool:
    """Return whether the password of the mail server, if any, can be read; `check_secrets` reports it otherwise."""
    key = "alerts.smtp_password_path"
    return server.password_file is None or check_secret(key, server.password_file).verdict is not Verdict.FAIL


def _reached(name: str, reach: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, Verdict.OK, reach())
    except NodeError as error:
        return Check(name, Verdict.FAIL, str(error), remedy)
