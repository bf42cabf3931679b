"""The relying party of OpenID Connect: authorization code with PKCE, and ID tokens proved by the issuer's keys."""

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

from glam_node.node.console.oidc_answers import CLIENT_ERRORS, Claims, asked, refusal, status_of, unreachable
from glam_node.node.errors import PermanentError
from glam_node.settings.oidc import OIDCSettings
from glam_node.settings.secret_files import SecretFileError, read_secret

CALLBACK = "/sign-in/oidc/callback"
SIGNED_OUT = "/sign-in"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""With the issuer's private key: none, and no secret that we have too."""
LEEWAY_S = 60
"""What the clocks of issuer and node may differ by."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LONGEST_HINT = 4000
"""Of an ID token in a URL: beyond that servers refuse the whole of it; the client id has to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """One person's way to the issuer and back."""

    url: str
    """Where the browser goes."""
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the issuer vouches for."""

    claims: Claims
    id_token: str
    """As it came: by it the issuer knows whom to sign out."""


class Issuer:
    """The provider that settings name; what it says of itself and its keys is kept, keys until an unknown one comes."""

    def __init__(self, settings: OIDCSettings) -> None:
        self._settings = settings
        self.name = settings.issuer or ""
        self._metadata: Claims = {}
        self._keys: KeySet | None = None

    @property
    def redirect_uri(self) -> str:
        """To be registered with the provider."""
        return (self._settings.public_url or "").rstrip("/") + CALLBACK

    def request(self) -> Request:
        """A new way to it. Raises TransientError or PermanentError where its discovery document cannot be used."""
        metadata = self.metadata()
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        with self._session(metadata) as session:
            url, state = session.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        return Request(url, state, nonce, verifier)

    @property
    def signed_out_uri(self) -> str:
        """Where a browser comes back to once it is signed out there; to be registered with the provider."""
        return (self._settings.public_url or "").rstrip("/") + SIGNED_OUT

    @property
    def end_session_endpoint(self) -> str:
        """Where people sign out there (OpenID Connect RP-Initiated Logout 1.0 2.1); empty where that cannot be.

        Raises TransientError or PermanentError where its discovery document cannot be used.
        """
        found = self.metadata().get("end_session_endpoint")
        secure = urlsplit(self.name).scheme != "https" or urlsplit(str(found)).scheme == "https"
        return found if isinstance(found, str) and secure else ""

    def sign_out_url(self, id_token: str) -> str:
        """By which the browser signs out there whom the token is of; empty where that cannot be. Raises likewise."""
        endpoint = self.end_session_endpoint
        hint = {"id_token_hint": id_token} if 0 < len(id_token) <= _LONGEST_HINT else {}
        query = {**hint, "client_id": self._settings.client_id, "post_logout_redirect_uri": self.signed_out_uri}
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}" if endpoint else ""

    def vouched(self, request: Request, code: str) -> Vouched:
        """Whom the issuer vouches for in exchange for the code.

        Raises PermanentError when it refuses, or what it gives cannot be trusted, TransientError when it does not
        answer.
        """
        metadata = self.metadata()
        with self._session(metadata) as session:
            token = self._token(session, metadata, request, code)
            claims = self._proved(token, request.nonce, metadata)
            if self._settings.roles_claim.split(".")[0] not in claims and "userinfo_endpoint" in metadata:
                more = asked(self.name, lambda: session.get(metadata["userinfo_endpoint"]))
                claims = (more | claims) if more.get("sub") == claims["sub"] else claims
        return Vouched(claims, str(token["id_token"]))

    def client_trouble(self) -> str:
        """Why the provider does not take our id and secret, by a code that is none; empty when it does.

        Raises TransientError or PermanentError where it cannot be asked.
        """
        metadata = self.metadata()
        with self._session(metadata) as session:
            try:
                self._exchanged(session, metadata, secrets.token_urlsafe(48), "none")
            except OAuthError as error:
                return refusal(self.name, error, self.redirect_uri) if error.error in CLIENT_ERRORS else ""
        return ""

    def redirect_trouble(self) -> str:
        """Why it would not lead a browser back to us; empty when it would. Raises TransientError or PermanentError."""
        url = self.request().url
        with self._session(self.metadata()) as session:
            status = status_of(self.name, lambda: session.get(url, withhold_token=True, allow_redirects=False))
        # RFC 6749 4.1.2.1: it must not lead back to an address that is not registered.
        return f"{self.name} answered {status} to a browser on its way to sign in" if status == 400 else ""

    def keys(self) -> KeySet:
        """What its signatures are proved by. Raises TransientError or PermanentError where there are none to be had."""
        metadata = self.metadata()
        try:
            return self._key_set(metadata)
        except (JoseError, ValueError) as error:
            raise PermanentError(f"{metadata['jwks_uri']} has no keys that can be read: {error}.") from error

    def metadata(self) -> Claims:
        """Its discovery document. Raises TransientError or PermanentError when that cannot be had or used."""
        if not self._metadata:
            address = self.name.rstrip("/") + "/.well-known/openid-configuration"
            with self._session({}) as session:
                found = asked(self.name, lambda: session.get(address, withhold_token=True))
            self._metadata = self._checked(found, address)
        return self._metadata

    def _checked(self, found: Claims, address: str) -> Claims:
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
        # Neither a netrc file nor a variable of the environment decides who is spoken to, or as whom.
        session.trust_env = False
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
            return self._exchanged(session, metadata, request.code_verifier, code)
        except OAuthError as error:
            raise PermanentError(refusal(self.name, error, self.redirect_uri)) from error

    def _exchanged(self, session: OAuth2Session, metadata: Claims, verifier: str, code: str) -> Claims:
        try:
            return dict(session.fetch_token(metadata["token_endpoint"], code=code, code_verifier=verifier))
        except requests.RequestException as error:
            raise unreachable(self.name, error) from error
        except ValueError as error:
            raise PermanentError(f"{self.name} answered the code with no JSON. Is it an OpenID provider?") from error

    def _proved(self, token: Claims, nonce: str, metadata: Claims) -> Claims:
        if "id_token" not in token:
            raise PermanentError(f"{self.name} gave no ID token. Has its client the scope openid?")
        try:
            decoded = self._decoded(str(token["id_token"]), metadata)
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
                f"The ID token of {self.name} cannot be trusted: {error}. Compare console.oidc.client_id with what it "
                "has registered, and the clocks of both machines."
            ) from error
        return dict(claims)

    def _decoded(self, id_token: str, metadata: Claims) -> jwt.Token:
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            return jwt.decode(id_token, self._key_set(metadata), registry=registry)
        except InvalidKeyIdError:
            # Keys change: one that is not known is looked up, once.
            self._keys = None
            return jwt.decode(id_token, self._key_set(metadata), registry=registry)

    def _key_set(self, metadata: Claims) -> KeySet:
        if self._keys is None:
            with self._session(metadata) as session:
                found = asked(self.name, lambda: session.get(metadata["jwks_uri"], withhold_token=True))
            self._keys = KeySet.import_key_set({"keys": list(found.get("keys", []))})
        return self._keys
