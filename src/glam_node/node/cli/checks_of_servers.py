"""The checks of `doctor` for other servers: sign-in provider, audit collector, alerts and traces."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from glam_node.node.bootstrap.alerts import mail_server
from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_files import CLIENT_SECRET, EXPIRES_SOON, check_secret
from glam_node.node.errors import NodeError
from glam_node.node.scu.mail import MailServer, check_mail_server
from glam_node.node.scu.otlp import check_collector
from glam_node.node.scu.webhook import check_webhook
from glam_node.node.tls.certificates import server_certificate
from glam_node.node.tls.contexts import CertificateFiles
from glam_node.settings.console import OIDCSettings
from glam_node.settings.schema import Settings

if TYPE_CHECKING:
    from glam_node.node.console.oidc import Client

PROVIDER, CLIENT = "sign-in provider", "sign-in client"
_HTTPS = 443


def sign_in_limit_s(chosen: OIDCSettings) -> float:
    """Return how many seconds the checks of the provider may take."""
    return 5 * chosen.timeout + 10


def check_sign_in(settings: Settings) -> Iterator[Check]:
    """Check that the provider, if configured, answers, supports all that sign-in needs, and knows this console."""
    chosen = settings.console.oidc
    if chosen.issuer is None or not settings.console.port:
        return
    # Imported here: the module is slow to import and is not needed without a provider.
    from glam_node.node.console.oidc import Client

    secret = chosen.client_secret_path
    if secret is not None and check_secret(CLIENT_SECRET, secret).verdict is Verdict.FAIL:
        return  # `check_secrets` reports this failure.
    client = Client(chosen)
    try:
        found = _provider(client, chosen)
    except NodeError as error:
        found = Check(PROVIDER, Verdict.FAIL, str(error), "Until then only local accounts can sign in.")
    yield found
    if found.verdict is not Verdict.FAIL:
        yield _client(client, chosen)


def _provider(client: "Client", chosen: OIDCSettings) -> Check:
    """Check the discovery document, the keys and the certificate of the provider.

    Raises:
        NodeError: The provider does not answer, or its answer cannot be used.
    """
    metadata = client.metadata()
    keys = len(client.keys().keys)
    lacking = _lacking(metadata, chosen)
    if lacking:
        return Check(PROVIDER, Verdict.FAIL, f"{client.issuer} {lacking[0]}", lacking[1])
    fact = f"{client.issuer} answers, with its endpoints and {keys} keys"
    ends = _certificate_ends(client.issuer, chosen)
    if ends is not None and ends - datetime.now(UTC) < EXPIRES_SOON:
        fact = f"{fact}; its certificate is valid until {ends:%Y-%m-%d %H:%M} UTC"
        return Check(PROVIDER, Verdict.WARN, fact, "Ask the administrator of the provider to renew it.")
    if not client.end_session_endpoint:
        return Check(
            PROVIDER,
            Verdict.OK,
            f"{fact}; it has no end_session_endpoint: people who sign out here stay signed in there",
        )
    return Check(PROVIDER, Verdict.OK, f"{fact}; people who sign out here are signed out there")


def _lacking(metadata: dict[str, Any], chosen: OIDCSettings) -> tuple[str, str] | None:
    """Return the first feature that sign-in needs and the provider lacks, with the remedy; None if there is none.

    Args:
        metadata: The discovery document of the provider (OpenID Connect Discovery 1.0).
        chosen: The settings of the provider.
    """
    if "code" not in metadata.get("response_types_supported", ["code"]):
        return "has no authorization code flow", 'Allow this client the response type "code" there.'
    if "S256" not in metadata.get("code_challenge_methods_supported", ["S256"]):
        return "has no PKCE with S256", "Allow it there (RFC 7636), or upgrade the provider."
    missing = sorted(set(chosen.scopes) - set(metadata.get("scopes_supported", chosen.scopes)))
    if missing:
        return (
            f"does not know the scopes {', '.join(missing)}",
            "Remove them from console.oidc.scopes, or add them at the provider.",
        )
    return None


def _certificate_ends(name: str, chosen: OIDCSettings) -> datetime | None:
    """Return when the certificate of the provider expires; None if TLS is not used, or it cannot be read."""
    parts = urlsplit(name)
    if parts.scheme != "https" or parts.hostname is None:
        return None
    address = (parts.hostname, parts.port or _HTTPS)
    try:
        return server_certificate(
            address, parts.hostname, chosen.timeout, CertificateFiles("console.oidc", None, None)
        ).not_after
    except OSError:  # The provider answered before: do not report a failed second connection.
        return None


def _client(client: "Client", chosen: OIDCSettings) -> Check:
    """Check that the provider accepts the client ID and secret, and redirects browsers back to this console."""
    try:
        stranger = client.client_trouble()
        astray = "" if stranger else client.redirect_trouble()
    except NodeError as error:
        return Check(CLIENT, Verdict.FAIL, str(error), "See the message, then run `glam-node doctor` again.")
    if stranger:
        return Check(
            CLIENT,
            Verdict.FAIL,
            stranger,
            "Correct console.oidc.client_id, or the secret in the file console.oidc.client_secret_path.",
        )
    if astray:
        return Check(CLIENT, Verdict.FAIL, astray, f"Register {client.redirect_uri} there as its redirect URI.")
    how = "by its secret" if chosen.client_secret_path else "as a public client"
    return Check(
        CLIENT, Verdict.OK, f"the provider knows {chosen.client_id} {how}, and redirects to {client.redirect_uri}"
    )


def check_audit_collector(settings: Settings) -> Iterator[Check]:
    """Check that the collector of audit messages, if configured, accepts and closes a connection."""
    from glam_node.node.scu.syslog import audit_collector

    collector = audit_collector(settings.audit)
    if collector is None:
        return
    try:
        collector.send([])
    except NodeError as error:
        yield Check("audit", Verdict.FAIL, str(error), "Audit messages wait on this machine until it answers.")
        return
    yield Check("audit", Verdict.OK, f"{collector.host}:{collector.port} accepts audit messages")


def check_channels(settings: Settings) -> Iterator[Check]:
    """Check that the servers for alerts and traces answer, without sending an alert or a trace."""
    alerts, telemetry = settings.alerts, settings.telemetry
    if alerts.webhook_url:
        remedy = "Alerts wait until it answers. `glam-node alerts test` posts a test alert."
        yield _reached("alerts webhook", lambda: check_webhook(alerts.webhook_url, alerts.timeout), remedy)
    server = mail_server(settings)
    if server is not None and _has_password(server):
        remedy = "Alerts wait until it answers. `glam-node alerts test` sends a test alert."
        yield _reached("alerts mail", lambda: check_mail_server(server), remedy)
    if telemetry.otlp_endpoint:
        remedy = "Traces wait until it answers; studies do not."
        yield _reached("telemetry", lambda: check_collector(telemetry.otlp_endpoint, telemetry.timeout), remedy)


def _has_password(server: MailServer) -> bool:
    """Return whether the mail server's password, if any, can be read; if not, `check_secrets` reports that."""
    key = "alerts.smtp_password_path"
    return server.password_file is None or check_secret(key, server.password_file).verdict is not Verdict.FAIL


def _reached(name: str, reach: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, Verdict.OK, reach())
    except NodeError as error:
        return Check(name, Verdict.FAIL, str(error), remedy)
