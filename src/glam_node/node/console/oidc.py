"""OpenID Connect relying party: authorization code flow with PKCE, and validation of ID tokens."""

import secrets
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from glam_node.node.console.oidc_http import CLIENT_ERRORS, Claims, json_of, refusal, status_of, unreachable
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


@dataclass(frozen=True, slots=True)
class Request:
    """An authorization request: the redirection of one person to the issuer and back."""

    url: str
    """The address to which the browser is redirected."""
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person as authenticated by the issuer."""

    claims: Claims
    id_token: str
    """The encoded ID token, which tells the issuer which person to sign out."""


class Issuer:
    """The configured provider. Its discovery document and keys are cached; an unknown key reloads the keys."""

    def __init__(self, settings: OIDCSettings) -> None:
        self._settings = settings
        self.name = settings.issuer or ""
        self._metadata: Claims = {}
        self._keys: KeySet | None = None

    @property
    def redirect_uri(self) -> str:
        """The address to which the provider redirects browsers after signing in; it must be registered there."""
        return (self._settings.public_url or "").rstrip("/") + CALLBACK

    def request(self) -> Request:
        """Return a new authorization request.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: Its discovery document cannot be used.
        """
        metadata = self.metadata()
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        with self._session(metadata) as session:
            url, state = session.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        return Request(url, state, nonce, verifier)

    @property
    def signed_out_uri(self) -> str:
        """The address to which the provider redirects browsers after signing out; it must be registered there."""
        return (self._settings.public_url or "").rstrip("/") + SIGNED_OUT

    @property
    def end_session_endpoint(self) -> str:
        """The address for signing out (OpenID Connect RP-Initiated Logout 1.0, 2.1); empty if there is none.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: Its discovery document cannot be used.
        """
        found = self.metadata().get("end_session_endpoint")
        secure = urlsplit(self.name).scheme != "https" or urlsplit(str(found)).scheme == "https"
        return found if isinstance(found, str) and secure else ""

    def sign_out_url(self, id_token: str) -> str:
        """Return the address at which the provider signs out the person of the token; empty if it has no such address.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: Its discovery document cannot be used.
        """
        endpoint = self.end_session_endpoint
        hint = {"id_token_hint": id_token} if 0 < len(id_token) <= _LONGEST_HINT else {}
        query = {**hint, "client_id": self._settings.client_id, "post_logout_redirect_uri": self.signed_out_uri}
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}" if endpoint else ""

    def authenticate(self, request: Request, code: str) -> Person:
        """Exchange the authorization code for a person's claims, and validate them.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: The provider refuses the code, or its ID token is not valid.
        """
        metadata = self.metadata()
        with self._session(metadata) as session:
            token = self._token(session, metadata, request, code)
            claims = self._validated(token, request.nonce, metadata)
            if self._settings.roles_claim.split(".")[0] not in claims and "userinfo_endpoint" in metadata:
                more = json_of(self.name, lambda: session.get(metadata["userinfo_endpoint"]))
                claims = (more | claims) if more.get("sub") == claims["sub"] else claims
        return Person(claims, str(token["id_token"]))

    def client_trouble(self) -> str:
        """Try client ID and secret with an invalid code; return why the provider rejects them, else an empty text.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: Its discovery document or its answer cannot be used.
        """
        metadata = self.metadata()
        with self._session(metadata) as session:
            try:
                self._exchange(session, metadata, secrets.token_urlsafe(48), "none")
            except OAuthError as error:
                return refusal(self.name, error, self.redirect_uri) if error.error in CLIENT_ERRORS else ""
        return ""

    def redirect_trouble(self) -> str:
        """Return why the provider rejects the redirect address; empty if it does not. May raise as `request` does."""
        url = self.request().url
        with self._session(self.metadata()) as session:
            status = status_of(self.name, lambda: session.get(url, withhold_token=True, allow_redirects=False))
        # RFC 6749 4.1.2.1: a provider must not redirect to an address that is not registered.
        return f"{self.name} answered {status} to a browser on its way to sign in" if status == 400 else ""

    def keys(self) -> KeySet:
        """Return the keys that verify the provider's signatures.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: The provider has no readable keys.
        """
        metadata = self.metadata()
        try:
            return self._key_set(metadata)
        except (JoseError, ValueError) as error:
            raise PermanentError(f"{metadata['jwks_uri']} has no keys that can be read: {unstopped(error)}.") from error

    def metadata(self) -> Claims:
        """Return the provider's discovery document.

        Raises:
            TransientError: The provider does not answer.
            PermanentError: The document is not that of the configured issuer, or lacks an endpoint.
        """
        if not self._metadata:
            address = self.name.rstrip("/") + "/.well-known/openid-configuration"
            with self._session({}) as session:
                found = json_of(self.name, lambda: session.get(address, withhold_token=True))
            self._metadata = self._check_metadata(found, address)
        return self._metadata

    def _check_metadata(self, found: Claims, address: str) -> Claims:
        if found.get("issuer") != self.name:
            raise PermanentError(
                f'{address} calls its issuer "{found.get("issuer", "")}", console.oidc.issuer is "{self.name}". '
                "Write it in the settings as the provider does, to the last slash."
            )
        missing = [key for key in _ENDPOINTS if not isinstance(found.get(key), str)]
        if missing:
            raise PermanentError(f"{address} does not name its {', '.join(missing)}. Is it an OpenID provider?")
        if urlsplit(self.name).scheme == "https":
            plain = [key for key in _ENDPOINTS if urlsplit(found[key]).scheme != "https"]
            if plain:
                raise PermanentError(f"{address} has {', '.join(plain)} in plain HTTP. The provider must use HTTPS.")
        return found

    def _session(self, metadata: Claims) -> OAuth2Session:
        chosen = self._settings
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        secret = self._secret()
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        session = OAuth2Session(
            chosen.client_id,
            secret,
            token_endpoint_auth_method=method if secret else "none",
            scope=" ".join(chosen.scopes),
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            default_timeout=chosen.timeout,
        )
        # No netrc file or environment variable may set proxies or credentials for these requests.
        session.trust_env = False
        bound_answers(session, chosen.timeout)
        session.verify = str(chosen.ca) if chosen.ca is not None else True
        return session

    def _secret(self) -> str | None:
        path = self._settings.client_secret_path
        if path is None:
            return None
        try:
            return read_secret(path)
        except SecretFileError as error:
            raise PermanentError(f"console.oidc.client_secret_path: {error}.") from None

    def _token(self, session: OAuth2Session, metadata: Claims, request: Request, code: str) -> Claims:
        try:
            return self._exchange(session, metadata, request.code_verifier, code)
        except OAuthError as error:
            raise PermanentError(refusal(self.name, error, self.redirect_uri)) from error

    def _exchange(self, session: OAuth2Session, metadata: Claims, verifier: str, code: str) -> Claims:
        try:
            return dict(session.fetch_token(metadata["token_endpoint"], code=code, code_verifier=verifier))
        except requests.RequestException as error:
            raise unreachable(self.name, error) from error
        except ValueError as error:
            raise PermanentError(f"{self.name} answered the code with no JSON. Is it an OpenID provider?") from error

    def _validated(self, token: Claims, nonce: str, metadata: Claims) -> Claims:
        if "id_token" not in token:
            raise PermanentError(f"{self.name} gave no ID token. Check that its client has the scope openid.")
        try:
            decoded = self._decode(str(token["id_token"]), metadata)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self.name},
                    "aud": {"essential": True, "value": self._settings.client_id},
                },
                {"nonce": nonce, "client_id": self._settings.client_id, "access_token": token.get("access_token")},
            )
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError) as error:
            raise PermanentError(
                f"The ID token of {self.name} cannot be trusted: {unstopped(error)}. Compare console.oidc.client_id "
                "with the client that it has registered, and the clocks of both machines."
            ) from error
        return dict(claims)

    def _decode(self, id_token: str, metadata: Claims) -> jwt.Token:
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            return jwt.decode(id_token, self._key_set(metadata), registry=registry)
        except InvalidKeyIdError:
            # The provider may have rotated its keys: load them again, once.
            self._keys = None
            return jwt.decode(id_token, self._key_set(metadata), registry=registry)

    def _key_set(self, metadata: Claims) -> KeySet:
        if self._keys is None:
            with self._session(metadata) as session:
                found = json_of(self.name, lambda: session.get(metadata["jwks_uri"], withhold_token=True))
            self._keys = KeySet.import_key_set({"keys": list(found.get("keys", []))})
        return self._keys
