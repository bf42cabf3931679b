"""Failures of an OpenID provider, with their cause and remedy in words."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError

from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.tls.contexts import CertificateTrouble, certificate_trouble

CLIENT_ERRORS = ("invalid_client", "unauthorized_client")
"""The error codes of RFC 6749 5.2 about the client: its id, its secret and its permissions."""


@contextmanager
def explained(issuer: str) -> Iterator[None]:
    """Raise a failure of a request to the provider as an error with the cause and the remedy.

    Args:
        issuer: The provider's name, for messages.

    Raises:
        TransientError: There is no answer, or its status is 500 or above.
        PermanentError: The status is another failure, or the body is not a JSON object.
    """
    try:
        yield
    except requests.HTTPError as error:
        answer = cast(requests.Response, error.response)  # `raise_for_status` sets it
        kind = TransientError if answer.status_code >= 500 else PermanentError
        raise kind(
            f"{issuer} answered {answer.status_code} to {urlsplit(answer.url).path}. Check console.oidc.issuer, and "
            "the log of the provider.",
            status=answer.status_code,
        ) from error
    except (requests.JSONDecodeError, TypeError, AttributeError) as error:
        raise PermanentError(f"{issuer} answered with no JSON object. Is it an OpenID provider?") from error
    except requests.RequestException as error:
        raise _unreachable(issuer, error) from error
    except OSError as error:  # raised by requests if the CA file does not exist
        raise PermanentError("console.oidc.ca cannot be read. Check the path and the rights to it.") from error


def refusal(issuer: str, error: OAuthError, redirect_uri: str) -> str:
    """Return a message about a provider that refused the authorization code."""
    said = f"{issuer} answered {error.error or 'an error'} to the code"
    if error.error in CLIENT_ERRORS:
        return (
            f"{said}: it does not accept this client id and secret. Compare console.oidc.client_id and "
            "console.oidc.client_secret_path with the client that it has registered."
        )
    if error.error == "invalid_grant":
        return (
            f"{said}: it was used, too old, or for another redirect URI. Sign in again; if that does not help, "
            f"register {redirect_uri} with it."
        )
    return f"{said}{f' ({error.description})' if error.description else ''}. Look into its log."


def _unreachable(issuer: str, error: requests.RequestException) -> NodeError:
    """Return the error to raise for a request that got no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return TransientError(f"{issuer} {_untrusted(error)}")
    if isinstance(error, requests.Timeout):
        words = "does not answer in time. Check that it is running, console.oidc.issuer and console.oidc.timeout."
        return TransientError(f"{issuer} {words}")
    words = "cannot be reached. Check that it is running, console.oidc.issuer, name resolution and firewall."
    return TransientError(f"{issuer} {words}")


def _untrusted(error: BaseException) -> str:
    """Return a message from OpenSSL's own error, which other libraries have wrapped."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLError):
        inner = next((one for one in (getattr(seen, "reason", None), *seen.args) if isinstance(one, Exception)), None)
        seen = inner or seen.__cause__ or seen.__context__
    if not isinstance(seen, ssl.SSLCertVerificationError):
        said = (getattr(seen, "reason", "") or "no TLS").replace("_", " ").lower()
        return f"does not agree on TLS: {said}. Check console.oidc.issuer: is it https:// there?"
    remedy = {
        CertificateTrouble.DATES: "Ask its administrator to renew it, and check the clock of this machine.",
        CertificateTrouble.NAME: "Set console.oidc.issuer to an address with a name in the certificate.",
        CertificateTrouble.AUTHORITY: "Add the authority that signed it to the file console.oidc.ca.",
    }[certificate_trouble(seen)]
    return f"cannot be trusted: its certificate is refused: {seen.verify_message}. {remedy}"
