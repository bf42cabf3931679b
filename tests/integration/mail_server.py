"""A mail server that requires STARTTLS and authentication."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import Authority
from tests.ports import free_port

PASSWORD = "hunter2 hunter2"


class Mailbox:
    """The mails that the server accepted from authenticated clients over TLS."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002
        assert isinstance(envelope.content, bytes)
        assert session.ssl is not None
        self.mails.append(message_from_bytes(envelope.content))
        self.recipients.append(envelope.rcpt_tos)
        return "250 Taken"


def sign_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (b"node", PASSWORD.encode()))


@contextmanager
def mail_server(mailbox: Mailbox, authority: Authority) -> Iterator[int]:
    """Run a mail server that requires STARTTLS and authentication, and yield its port."""
    signed = authority.sign("localhost")
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate, signed.key)
    controller = Controller(
        mailbox,
        "127.0.0.1",
        free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=sign_in,
        auth_required=True,
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()
