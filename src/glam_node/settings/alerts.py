"""[alerts]: who is told when something is wrong, and when it is over."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.urls import WebhookURL
from glam_node.settings.values import File, Host, Patience, Seconds

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
    """[alerts]: who is told when something is wrong, and when it is over; names and ids are never in it."""

    webhook_url: WebhookURL = ""
    """Where a JSON document of each is posted (its "text" is what chat programs show); empty: nowhere."""
    smtp_host: Host | None = None
    """The mail server; unset: no mail is sent."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Its port."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """starttls: TLS is asked for, and nothing is sent without; tls: from the beginning; none: in plain text."""
    smtp_user: User | None = None
    """The user name at the mail server; unset: the node does not sign in."""
    smtp_password_path: File | None = None
    """A file that only this node may read, with the password and nothing else."""
    smtp_ca: File | None = None
    """The authorities that sign the mail server's certificate, PEM; unset: those of the operating system."""
    sender: Address | None = None
    """The sender of the mails."""
    recipients: tuple[Address, ...] = ()
    """The recipients of the mails."""
    timeout: Patience = 10.0
    """Seconds to wait for the webhook, and for the mail server."""
    which: tuple[AlertName, ...] = ALERTS
    """The alerts to send."""
    archive_down_after: Seconds = 900.0
    """archive_down: seconds that a result waits for its destination."""
    backlog_after: Seconds = 1800.0
    """backlog_growing: seconds that a study waits for its analysis."""
    worker_gone_after: Seconds = 600.0
    """worker_gone: seconds that a job is due while no worker holds any."""
    no_studies_after: Seconds = 43200.0
    """no_studies: seconds without anything received, once something was."""
    score_drift: float = Field(default=0.1, gt=0, le=1)
    """score_drift: how far the mean score of the last analyses may be from the package's reference, if it has one."""

    @model_validator(mode="after")
    def _has_all_that_mail_needs(self) -> Self:
        if self.smtp_host is not None:
            for key in ("sender", "recipients"):
                if not getattr(self, key):
                    raise contradiction(key, "is missing: alerts.smtp_host needs from whom and to whom mails go")
        for key in ("smtp_user", "smtp_password_path", "smtp_ca", "sender", "recipients"):
            if getattr(self, key) and self.smtp_host is None:
                raise contradiction(key, "is for mail: alerts.smtp_host is unset")
        return self

    @model_validator(mode="after")
    def _signs_in_whole_and_in_secret(self) -> Self:
        if (self.smtp_user is None) != (self.smtp_password_path is None):
            missing = "smtp_password_path" if self.smtp_password_path is None else "smtp_user"
            raise contradiction(missing, "is missing: user and password go together")
        if self.smtp_user is not None and self.smtp_security == "none":
            raise contradiction("smtp_security", 'would show the password to the network: take "starttls" or "tls"')
        return self
