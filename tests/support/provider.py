"""A provider that users sign in with: OpenID Connect's authorization code flow (RFC 6749 §4.1), with PKCE (RFC 7636)."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from tests.support.issuer import Key, serving

NAME: Final = "https://login.example.com"


@dataclass(slots=True)
class Provider:
    """`claims` are those of tokens; `granted` says for what it gave some.

    Tokens are good for `lasting` seconds, and can be had anew where it `refreshes` them.
    """

    secret: str
    claims: dict[str, Any]
    key: Key = field(default_factory=lambda: Key("one"))
    signer: Key | None = None
    lasting: int = 3600
    refreshes: bool = True
    granted: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def signed_in(self, location: str) -> str:
        """Where a browser that is sent to `location` is sent back to, once its user has signed in."""
        url = urlsplit(location)
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{NAME}/authorize"
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    async def tokens(self, request: web.Request) -> web.Response:
        """The token endpoint."""
        assert request.host == "login.example.com"
        form = {name: str(value) for name, value in (await request.post()).items()}
        if (form.get("client_id"), form.get("client_secret")) != ("shop", self.secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            proof = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            if asked is None or (proof, form["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
                return web.json_response({"error": "invalid_grant"}, status=400)
        self.granted.append(form["grant_type"])
        token = (self.signer or self.key).token(**self.claims, jti=secrets.token_urlsafe())
        self.given = [token, f"refresh-{secrets.token_urlsafe()}"]
        answer = {"access_token": token, "id_token": token}
        answer |= {"refresh_token": self.given[1]} if self.refreshes else {}
        return web.json_response({**answer, "token_type": "Bearer", "expires_in": self.lasting})

    async def keys(self, request: web.Request) -> web.Response:
        """Its key set."""
        assert request.host == "login.example.com"
        return web.json_response({"keys": [self.key.public]})


@asynccontextmanager
async def providing(address: str, port: int, secret: str, **claims: Any) -> AsyncIterator[Provider]:
    """A provider whose endpoints are at an address."""
    provider = Provider(secret, claims)
    async with serving(address, port, web.post("/token", provider.tokens), web.get("/keys", provider.keys)):
        yield provider
