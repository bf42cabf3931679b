"""Alert rules and channels from settings."""

from functools import partial

from glam_node.node.domain.alert import AlertPolicy
from glam_node.node.scu.mail import MailServer, send_mail
from glam_node.node.scu.webhook import post_alert
from glam_node.node.workflow.record.alerts import Channel
from glam_node.settings.schema import Settings


def alert_policy(settings: Settings) -> AlertPolicy:
    """Return the alerts that the site has chosen, with their thresholds."""
    chosen = settings.alerts
    return AlertPolicy(
        frozenset(chosen.which),
        chosen.archive_down_after,
        chosen.backlog_after,
        chosen.worker_gone_after,
        chosen.no_studies_after,
        chosen.score_drift,
        bool(settings.canary.every),
    )


def alert_channels(settings: Settings) -> dict[str, Channel]:
    """Return the configured channels by name: "webhook" and "mail"."""
    chosen, node = settings.alerts, settings.node.ae_title
    channels: dict[str, Channel] = {}
    if chosen.webhook_url:
        channels["webhook"] = partial(post_alert, chosen.webhook_url, node, chosen.timeout)
    server = mail_server(settings)
    if server is not None:
        channels["mail"] = partial(send_mail, server, node)
    return channels


def mail_server(settings: Settings) -> MailServer | None:
    """Return the mail server for alerts; None if no mail is configured."""
    chosen = settings.alerts
    if chosen.smtp_host is None or chosen.sender is None:
        return None
    return MailServer(
        chosen.smtp_host,
        chosen.smtp_port,
        chosen.smtp_security,
        chosen.smtp_user,
        chosen.smtp_password_path,
        chosen.smtp_ca,
        chosen.sender,
        chosen.recipients,
        chosen.timeout,
    )
