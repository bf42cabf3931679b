"""OpenID Connect relying party by Authlib: authorization code flow with PKCE, and validated claims."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.common.security import generate_token
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OAuthError, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from glam_node.node.console.oidc_failures import CLIENT_ERRORS, explained, refusal
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError
from glam_node.node.scu.bounded_session import bound_answers
from glam_node.settings.console import OIDCSettings
from glam_node.settings.secret_files import SecretFileError, read_secret

CALLBACK = "/sign-in/oidc/callback"
SIGNED_OUT = "/sign-in"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""The accepted signature algorithms: only asymmetric ones, not "none" nor those that use the client secret."""
LEEWAY_S = 60
"""The difference in seconds that is allowed between the clocks of issuer and node."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LONGEST_HINT = 4000
"""The most characters of an ID token that is sent in a URL; with a longer one, servers would refuse the URL."""
Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """An authorization request: the redirection of one person to the provider and back."""

    url: str
    """The address to which the browser is redirected."""
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person as authenticated by the provider."""

    claims: Claims
    id_token: str
    """The encoded ID token, which tells the provider which person to sign out."""


class Client(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """A client of the provider for one sign-in or sign-out, so that new keys and endpoints count from the next one.

    It is Authlib's client for threads, which its clients for web frameworks are made of. Every method that asks the
    provider raises TransientError if the provider does not answer, and PermanentError if its answer cannot be used.
    """

    server_metadata: Claims

    def __init__(self, settings: OIDCSettings) -> None:
        """Prepare the client; no request is sent.

        Raises:
            PermanentError: The client secret cannot be read.
        """
        self._settings = settings
        self.issuer = settings.issuer or ""
        public_url = (settings.public_url or "").rstrip("/")
        self.redirect_uri = public_url + CALLBACK
        """The address to which the provider redirects browsers after signing in; it must be registered there."""
        self._signed_out_uri = public_url + SIGNED_OUT
        super().__init__(
            None,
            client_id=settings.client_id,
            client_secret=_secret(settings),
            server_metadata_url=self.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={"scope": " ".join(settings.scopes), "code_challenge_method": "S256"},
        )

    def client_cls(self, **options: Any) -> OAuth2Session:
        """Return the session for one request; Authlib calls this."""
        session = OAuth2Session(**options, default_timeout=self._settings.timeout)
        # No netrc file or environment variable may set proxies or credentials for these requests.
        session.trust_env = False
        bound_answers(session, self._settings.timeout)
        session.verify = str(self._settings.ca) if self._settings.ca is not None else True
        return session

    def authorization_request(self) -> Request:
        """Return a new authorization request."""
        with explained(self.issuer):
            return Request(**self.create_authorization_url(self.redirect_uri))

    def authenticate(self, request: Request, code: str) -> Person:
        """Exchange the authorization code for a person's claims, and validate them."""
        try:
            with explained(self.issuer):
                token = self.fetch_access_token(self.redirect_uri, code=code, code_verifier=request.code_verifier)
                claims = self._validated(token, request.nonce)
                if self._settings.roles_claim.split(".")[0] not in claims and "userinfo_endpoint" in self.metadata():
                    more = self.userinfo(token=token)
                    claims = (more | claims) if more.get("sub") == claims["sub"] else claims
        except OAuthError as error:
            raise PermanentError(refusal(self.issuer, error, self.redirect_uri)) from error
        return Person(claims, str(token["id_token"]))

    @property
    def end_session_endpoint(self) -> str:
        """The address for signing out (OpenID Connect RP-Initiated Logout 1.0, 2.1); empty if there is none."""
        found = self.metadata().get("end_session_endpoint")
        secure = urlsplit(self.issuer).scheme != "https" or urlsplit(str(found)).scheme == "https"
        return found if isinstance(found, str) and secure else ""

    def sign_out_url(self, id_token: str) -> str:
        """Return the address at which the provider signs out the person of the token; empty if it has none."""
        endpoint = self.end_session_endpoint
        hint = {"id_token_hint": id_token} if 0 < len(id_token) <= _LONGEST_HINT else {}
        query = {**hint, "client_id": self.client_id, "post_logout_redirect_uri": self._signed_out_uri}
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}" if endpoint else ""

    def client_trouble(self) -> str:
        """Try client ID and secret with an invalid code; return why the provider rejects them, else an empty text."""
        try:
            with explained(self.issuer):
                self.fetch_access_token(self.redirect_uri, code="none", code_verifier=generate_token(48))
        except OAuthError as error:
            return refusal(self.issuer, error, self.redirect_uri) if error.error in CLIENT_ERRORS else ""
        return ""

    def redirect_trouble(self) -> str:
        """Return why the provider rejects the redirect address; empty if it does not."""
        url = self.authorization_request().url
        with explained(self.issuer), self._get_session() as session:
            status = session.get(url, withhold_token=True, allow_redirects=False).status_code
        # RFC 6749 4.1.2.1: a provider must not redirect to an address that is not registered.
        return f"{self.issuer} answered {status} to a browser on its way to sign in" if status == 400 else ""

    def keys(self) -> KeySet:
        """Return the keys that verify the provider's signatures."""
        try:
            with explained(self.issuer):
                return KeySet.import_key_set(self.fetch_jwk_set())
        except (JoseError, ValueError) as error:
            address = self.metadata()["jwks_uri"]
            raise PermanentError(f"{address} has no keys that can be read: {unstopped(error)}.") from error

    def metadata(self) -> Claims:
        """Return the provider's discovery document, without what is not used here."""
        with explained(self.issuer):
            return self.load_server_metadata()

    def load_server_metadata(self) -> Claims:
        """Return the checked discovery document; Authlib calls this before each request."""
        if "issuer" not in self.server_metadata:
            found, self.server_metadata = super().load_server_metadata(), {}
            self.server_metadata = self._usable(found)
        return self.server_metadata

    def _usable(self, found: Claims) -> Claims:
        """Return the part of a discovery document that is used; Authlib takes other keys for options of a session."""
        address = self._server_metadata_url
        if found.get("issuer") != self.issuer:
            raise PermanentError(
                f'{address} calls its issuer "{found.get("issuer", "")}", console.oidc.issuer is "{self.issuer}". '
                "Write it in the settings as the provider does, to the last slash."
            )
        missing = [key for key in _ENDPOINTS if not isinstance(found.get(key), str)]
        if missing:
            raise PermanentError(f"{address} does not name its {', '.join(missing)}. Is it an OpenID provider?")
        if urlsplit(self.issuer).scheme == "https":
            used = (*_ENDPOINTS, *(["userinfo_endpoint"] if found.get("userinfo_endpoint") else []))
            plain = [key for key in used if urlsplit(str(found[key])).scheme != "https"]
            if plain:
                raise PermanentError(f"{address} has {', '.join(plain)} in plain HTTP. The provider must use HTTPS.")
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return {
            **{key: value for key, value in found.items() if key.endswith(("_endpoint", "_supported"))},
            "issuer": self.issuer,
            "jwks_uri": found["jwks_uri"],
            "id_token_signing_alg_values_supported": ALGORITHMS,
            "token_endpoint_auth_method": method if self.client_secret else "none",
        }

    def _validated(self, token: Claims, nonce: str) -> Claims:
        if "id_token" not in token:
            raise PermanentError(f"{self.issuer} gave no ID token. Check that its client has the scope openid.")
        expected = {"iss": self.issuer, "aud": self.client_id}
        options = {claim: {"essential": True, "value": value} for claim, value in expected.items()}
        try:
            with explained(self.issuer):
                return dict(self.parse_id_token(token, nonce, options, leeway=LEEWAY_S))
        except (JoseError, ValueError) as error:
            raise PermanentError(
                f"The ID token of {self.issuer} cannot be trusted: {unstopped(error)}. Compare console.oidc.client_id "
                "with the client that it has registered, and the clocks of both machines."
            ) from error


def _secret(settings: OIDCSettings) -> str | None:
    if settings.client_secret_path is None:
        return None
    try:
        return read_secret(settings.client_secret_path)
    except SecretFileError as error:
        raise PermanentError(f"console.oidc.client_secret_path: {error}.") from None
