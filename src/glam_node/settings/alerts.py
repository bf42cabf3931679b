"""Settings of [alerts]."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.urls import WebhookURL
from glam_node.settings.values import File, Host, Seconds, Timeout

AlertName = Literal[
    "archive_down",
    "backlog_growing",
    "worker_gone",
    "disk_low",
    "no_studies",
    "needs_a_person",
    "studies_left_out",
    "images_in_doubt",
    "score_drift",
    "canary_failed",
]
ALERTS: tuple[AlertName, ...] = get_args(AlertName)

_ADDRESS = "a mail address"


def _address(value: str) -> str:
    if not re.fullmatch(r"[^@\s,;<>\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,190}", value):
        raise ValueError(_ADDRESS)
    return value


Address = Annotated[str, AfterValidator(_address), Field(json_schema_extra={"allowed": _ADDRESS})]

User = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]+$")]


class AlertSettings(Section):
    """[alerts]: messages to people when a problem starts and ends; they never contain patient names or IDs."""

    webhook_url: WebhookURL = ""
    """URL to which each alert is posted as a JSON document, whose "text" chat programs show; empty: none."""
    smtp_host: Host | None = None
    """Address or name of the mail server; unset: no mail is sent."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Port of the mail server."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """starttls: the connection switches to TLS before anything is sent, or nothing is sent; tls: TLS from the start;
    none: no encryption."""
    smtp_user: User | None = None
    """User name at the mail server; unset: the node does not sign in."""
    smtp_password_path: File | None = None
    """File that contains only the password for the mail server, and that only this node may read."""
    smtp_ca: File | None = None
    """Certificates of the authorities that sign the mail server's certificate, PEM; unset: those of the operating
    system."""
    sender: Address | None = None
    """Mail address of the sender."""
    recipients: tuple[Address, ...] = ()
    """Mail addresses of the recipients."""
    timeout: Timeout = 10.0
    """Seconds to wait for an answer of the webhook or the mail server."""
    which: tuple[AlertName, ...] = ALERTS
    """Names of the alerts to send."""
    archive_down_after: Seconds = 900.0
    """Seconds that a result may wait for its destination before archive_down is sent."""
    backlog_after: Seconds = 1800.0
    """Seconds that a study may wait for its analysis before backlog_growing is sent."""
    worker_gone_after: Seconds = 600.0
    """Seconds that a job may be due, while no worker runs any job, before worker_gone is sent."""
    no_studies_after: Seconds = 43200.0
    """Seconds after the last received image before no_studies is sent."""
    score_drift: float = Field(default=0.1, gt=0, le=1)
    """Difference between the mean score of recent analyses and the package's reference at which score_drift is sent; a
    package without a reference is not monitored."""

    @model_validator(mode="after")
    def _has_what_mail_needs(self) -> Self:
        if self.smtp_host is not None:
            for key in ("sender", "recipients"):
                if not getattr(self, key):
                    raise contradiction(key, "is missing: alerts.smtp_host needs a sender and recipients")
        for key in ("smtp_user", "smtp_password_path", "smtp_ca", "sender", "recipients"):
            if getattr(self, key) and self.smtp_host is None:
                raise contradiction(key, "is for mail: alerts.smtp_host is unset")
        return self

    @model_validator(mode="after")
    def _signs_in_securely(self) -> Self:
        if (self.smtp_user is None) != (self.smtp_password_path is None):
            missing = "smtp_password_path" if self.smtp_password_path is None else "smtp_user"
            raise contradiction(missing, "is missing: user and password go together")
        if self.smtp_user is not None and self.smtp_security == "none":
            raise contradiction("smtp_security", 'would send the password without encryption: set "starttls" or "tls"')
        return self
