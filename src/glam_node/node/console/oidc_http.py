"""HTTP answers of an OpenID provider, and messages about its failures."""

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError

from glam_node.node.errors import NodeError, PermanentError, TransientError

CLIENT_ERRORS = ("invalid_client", "unauthorized_client")
"""The error codes of RFC 6749 5.2 about the client: its id, its secret and its permissions."""
Claims = dict[str, Any]
_Answer = Callable[[], requests.Response]


def json_of(issuer: str, ask: _Answer) -> Claims:
    """Return the JSON object of the provider's answer.

    Args:
        issuer: The provider's name, for messages.
        ask: Sends the request.

    Raises:
        TransientError: There is no answer, or its status is 500 or above.
        PermanentError: The status is not 200, or the body is not a JSON object.
    """
    answer = _answered(issuer, ask)
    if answer.status_code != 200:
        kind = TransientError if answer.status_code >= 500 else PermanentError
        raise kind(
            f"{issuer} answered {answer.status_code} to {urlsplit(answer.url).path}. Check console.oidc.issuer, and "
            "the log of the provider.",
            status=answer.status_code,
        )
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PermanentError(f"{issuer} answered {urlsplit(answer.url).path} with no JSON object. Is it a provider?")
    return found


def status_of(issuer: str, ask: _Answer) -> int:
    """Return the status of the provider's answer. Raises TransientError or PermanentError if there is no answer."""
    return _answered(issuer, ask).status_code


def _answered(issuer: str, ask: _Answer) -> requests.Response:
    try:
        return ask()
    except requests.RequestException as error:
        raise unreachable(issuer, error) from error
    except OAuthError as error:
        raise PermanentError(f"{issuer} answered {error.error}. Look into its log.") from error
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


def unreachable(issuer: str, error: requests.RequestException) -> NodeError:
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
    said = seen.verify_message
    if "expired" in said or "not yet valid" in said:
        remedy = "Ask its administrator to renew it, and check the clock of this machine."
    elif "mismatch" in said or "not valid for" in said:
        remedy = "Set console.oidc.issuer to an address with a name in the certificate."
    else:
        remedy = "Add the authority that signed it to the file console.oidc.ca."
    return f"cannot be trusted: its certificate is refused: {said}. {remedy}"
