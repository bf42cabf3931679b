"""An OpenID provider with real HTTP and signatures, which checks PKCE, secrets and redirect URIs and can misbehave."""

import hashlib
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from glam_node.node.console.oidc import CALLBACK, SIGNED_OUT
from tests.integration.console.browser import listening

CLIENT_ID, CLIENT_SECRET = "glam-node-console", "s3cret/with:colon"


@dataclass
class Provider:
    """A provider at which every browser is already signed in as `person`."""

    redirect_uris: set[str] = field(default_factory=set)
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "4711", "preferred_username": "anna"})
    wrong_metadata: dict[str, Any] = field(default_factory=dict)
    """Values that replace those of the discovery document."""
    wrong_claims: dict[str, Any] = field(default_factory=dict)
    """Values that replace claims of ID tokens; None removes a claim."""
    answer: dict[str, str] = field(default_factory=dict)
    """The parameters with which it sends the browser back instead of a code."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    stranger: Key | None = None
    """An unpublished key that signs instead of `key`."""
    publishes: bool = True
    """Whether `key` is published."""
    header: dict[str, str] = field(default_factory=dict)
    """Values that replace those of the headers of ID tokens."""
    signs_out: bool = True
    """Whether the discovery document has an end_session_endpoint."""
    signed_out: list[dict[str, str]] = field(default_factory=list)
    """The parameters of requests to sign out."""
    asked: list[str] = field(default_factory=list)
    """The requested paths, in order."""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """Return the application of the provider."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/moved/authorize", self._authorize),
                Route("/moved/token", self._token, methods=["POST"]),
                Route("/moved/jwks", self._jwks),
                Route("/userinfo", self._userinfo),
                Route("/end", self._end),
            ]
        )

    def _metadata(self, request: Request) -> Response:
        self.asked.append("metadata")
        issuer = _issuer(request)
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
                "userinfo_endpoint": f"{issuer}/userinfo",
                **({"end_session_endpoint": f"{issuer}/end?realm=one"} if self.signs_out else {}),
                **self.wrong_metadata,
            }
        )

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked["client_id"] != CLIENT_ID or asked["redirect_uri"] not in self.redirect_uris:
            return PlainTextResponse("this client or redirect URI is not registered", 400)
        code = f"code{len(self._codes)}"
        self._codes[code] = asked
        answer = self.answer or {"code": code}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        self.asked.append(request.url.path.removeprefix("/"))
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if not _is_client(request):
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or not _is_verified(asked, form):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": _issuer(request),
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.wrong_claims,
        }
        stated = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": str(self.key.kid), **self.header}
        signed = jwt.encode(header, stated, self.stranger or self.key, algorithms=[header["alg"]])
        return JSONResponse({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": signed})

    def _jwks(self, request: Request) -> Response:
        self.asked.append(request.url.path.removeprefix("/"))
        return JSONResponse(KeySet([self.key]).as_dict(private=False) if self.publishes else {"keys": []})

    def _end(self, request: Request) -> Response:
        """Sign out by RP-Initiated Logout 1.0: check the redirect address and the ID token."""
        asked = dict(request.query_params)
        back = asked["post_logout_redirect_uri"]
        if back not in {uri.replace(CALLBACK, SIGNED_OUT) for uri in self.redirect_uris}:
            return PlainTextResponse("this address is not registered", 400)
        claims = jwt.decode(asked["id_token_hint"], self.key).claims
        self.signed_out.append({**asked, "sub": claims["sub"]})
        return RedirectResponse(back, 302)

    def _userinfo(self, request: Request) -> Response:
        if request.headers.get("Authorization") != "Bearer at":
            return PlainTextResponse("no", 401)
        return JSONResponse({"sub": self.person["sub"], **self.userinfo})


@contextmanager
def running(provider: Provider) -> Iterator[str]:
    """Run the provider and yield its issuer."""
    with listening(provider.app()) as port:
        yield f"http://127.0.0.1:{port}"


def _issuer(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _is_client(request: Request) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    expected = f"{CLIENT_ID}:{CLIENT_SECRET}"
    return kind == "Basic" and b64decode(given).decode() == expected


def _is_verified(asked: dict[str, str], form: dict[str, str]) -> bool:
    """Return whether the code verifier fits the challenge (RFC 7636 4.6)."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked["code_challenge_method"] == "S256" and asked["code_challenge"] == challenge
