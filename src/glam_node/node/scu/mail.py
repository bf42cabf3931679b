"""Mails that announce alerts."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from glam_node.node.domain.alert import AlertMessage
from glam_node.node.errors import TransientError
from glam_node.node.scu.answer_timeouts import limit_answer_time
from glam_node.settings.secret_files import SecretFileError, read_secret


@dataclass(frozen=True, slots=True)
class MailServer:
    """Settings of the mail server, the sender and the recipients."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None
    password_file: Path | None
    ca: Path | None
    sender: str
    recipients: tuple[str, ...]
    timeout_s: float


def send_mail(server: MailServer, node: str, message: AlertMessage) -> None:
    """Send an alert by mail to all recipients.

    Raises:
        TransientError: The server did not accept the mail for all recipients.
    """
    refused: dict[str, object] = {}
    with _trouble(server), _connected(server) as connection:
        _sign_in(server, connection)
        refused = dict(connection.send_message(_mail(server, node, message)))
    if refused:
        where = f"Mail server {server.host}:{server.port}"
        raise TransientError(f"{where} refused {len(refused)} of the recipients. Check alerts.recipients.")


def check_mail_server(server: MailServer) -> str:
    """Check that the server accepts a connection and the credentials, without sending mail.

    Returns:
        Words that confirm that the server accepts the node.

    Raises:
        TransientError: The server does not answer or refuses.
    """
    with _trouble(server), _connected(server) as connection:
        _sign_in(server, connection)
        connection.noop()
    return f"{server.host}:{server.port} accepts the node"


def _sign_in(server: MailServer, connection: smtplib.SMTP) -> None:
    if server.user is not None and server.password_file is not None:
        connection.login(server.user, read_secret(server.password_file))


@contextmanager
def _trouble(server: MailServer) -> Iterator[None]:
    """Raise TransientError for every failure of the server."""
    where = f"Mail server {server.host}:{server.port}"
    try:
        yield
    except SecretFileError as error:
        raise TransientError(f"alerts.smtp_password_path: {error}. Correct that file. The node tries again.") from None
    except smtplib.SMTPResponseException as error:
        # The text of the answer is left out, since it may repeat data that the node sent.
        raise TransientError(f"{where} answered {error.smtp_code}. Check [alerts]. The node tries again.") from error
    except (OSError, smtplib.SMTPException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise TransientError(
            f"{where} does not accept mail: {reason}. Check [alerts]. The node tries again."
        ) from error


class _BoundedReplies(smtplib.SMTP):
    """An SMTP connection on which every whole reply arrives within the timeout."""

    def getreply(self) -> tuple[int, bytes]:
        try:
            with limit_answer_time(self, self.timeout):
                return super().getreply()
        except TimeoutError:
            self.close()
            raise


class _BoundedRepliesOverTLS(_BoundedReplies, smtplib.SMTP_SSL):
    """An SMTP connection with bounded replies that uses TLS from the start."""


def _connected(server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=str(server.ca) if server.ca is not None else None)
    if server.security == "tls":
        return _BoundedRepliesOverTLS(server.host, server.port, timeout=server.timeout_s, context=context)
    connection = _BoundedReplies(server.host, server.port, timeout=server.timeout_s)
    if server.security == "starttls":
        try:
            connection.starttls(context=context)
        except Exception:
            connection.close()
            raise
    return connection


def _mail(server: MailServer, node: str, message: AlertMessage) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = server.sender, ", ".join(server.recipients)
    mail["Subject"] = f"[glam-node {node}] {message.title}"
    mail["Date"] = format_datetime(message.at)
    # The ID is the same for every attempt, so that mail programs recognize a mail that arrives twice.
    mail["Message-ID"] = f"<alert-{message.message_id}-{message.phase}.{node.replace(' ', '_')}@glam-node>"
    mail["Auto-Submitted"] = "auto-generated"
    at = message.at.strftime("%Y-%m-%d %H:%M:%S UTC")
    fact, action = message.sentences
    mail.set_content(f"{message.title}\n\n{fact}\n{action}\n\n{node}, {at}\n")
    return mail
