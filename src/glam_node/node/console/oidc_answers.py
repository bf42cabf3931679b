"""What an OpenID provider answers over HTTP, and in words why it does not."""

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError

from glam_node.node.errors import NodeError, PermanentError, TransientError

CLIENT_ERRORS = ("invalid_client", "unauthorized_client")
"""RFC 6749 5.2, of who we are and what we may ask for."""
Claims = dict[str, Any]
_Answer = Callable[[], requests.Response]


def asked(issuer: str, ask: _Answer) -> Claims:
    """The JSON object that it answered. Raises TransientError or PermanentError."""
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
    """Of its answer, whatever that is. Raises TransientError or PermanentError where there is none."""
    return _answered(issuer, ask).status_code


def _answered(issuer: str, ask: _Answer) -> requests.Response:
    try:
        return ask()
    except requests.RequestException as error:
        raise unreachable(issuer, error) from error
    except OAuthError as error:
        raise PermanentError(f"{issuer} answered {error.error}. Look into its log.") from error
    except OSError as error:  # what requests has for a file of authorities that is not there
        raise PermanentError("console.oidc.ca cannot be read. Check the path and the rights to it.") from error


def refusal(issuer: str, error: OAuthError, redirect_uri: str) -> str:
    """Why it gave nothing for a code."""
    said = f"{issuer} answered {error.error or 'an error'} to the code"
    if error.error in CLIENT_ERRORS:
        return (
            f"{said}: it does not take this client id and secret. Compare console.oidc.client_id and "
            "client_secret_path with what it has registered."
        )
    if error.error == "invalid_grant":
        return (
            f"{said}: it was used, too old, or for another redirect URI. Sign in again; if that does not help, "
            f"register {redirect_uri} with it."
        )
    return f"{said}{f' ({error.description})' if error.description else ''}. Look into its log."


def unreachable(issuer: str, error: requests.RequestException) -> NodeError:
    """To be raised: what kept it from answering."""
    if isinstance(error, requests.exceptions.SSLError):
        return TransientError(f"{issuer} {_untrusted(error)}")
    if isinstance(error, requests.Timeout):
        words = "does not answer in time. Is it up? Check console.oidc.issuer and console.oidc.timeout."
        return TransientError(f"{issuer} {words}")
    words = "cannot be reached. Is it up? Check console.oidc.issuer, name resolution and firewall."
    return TransientError(f"{issuer} {words}")


def _untrusted(error: BaseException) -> str:
    """By what OpenSSL said, which lies under what others made of it."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLError):
        inner = next((one for one in (getattr(seen, "reason", None), *seen.args) if isinstance(one, Exception)), None)
        seen = inner or seen.__cause__ or seen.__context__
    if not isinstance(seen, ssl.SSLCertVerificationError):
        said = (getattr(seen, "reason", "") or "no TLS").replace("_", " ").lower()
        return f"does not agree on TLS: {said}. Check console.oidc.issuer: is it https:// there?"
    said = seen.verify_message
    if "expired" in said or "not yet valid" in said:
        remedy = "Have its administrator renew it, and check the clock of this machine."
    elif "mismatch" in said or "not valid for" in said:
        remedy = "Write console.oidc.issuer by a name that its certificate is for."
    else:
        remedy = "Put the authority that signed it into console.oidc.ca."
    return f"cannot be trusted: its certificate is refused: {said}. {remedy}"
