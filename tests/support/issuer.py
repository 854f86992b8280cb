"""Someone who issues tokens: signs them, and serves the keys that they are checked with."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

LATER: Final = 4102444800
"""The year 2100."""
LONG_AGO: Final = 1000000000


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass(slots=True)
class Key:
    """A key of ES256 (RFC 7518 §3.4)."""

    name: str
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public(self) -> dict[str, str]:
        """As a JSON Web Key (RFC 7517)."""
        point = self.private.public_key().public_numbers()
        x, y = _text(point.x.to_bytes(32)), _text(point.y.to_bytes(32))
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.name, "x": x, "y": y}

    def token(self, **claims: Any) -> str:
        """A JSON Web Token (RFC 7519) that says these claims."""
        head = {"alg": "ES256", "kid": self.name}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{_text(r.to_bytes(32) + s.to_bytes(32))}"


@dataclass(slots=True)
class Issuer:
    """`keys` are those that it gives at /keys; `asked` how often it was asked for them."""

    keys: list[Key]
    asked: int = 0

    async def given(self, request: web.Request) -> web.Response:
        """The key set."""
        assert request.host == "issuer.example.com"
        self.asked += 1
        return web.json_response({"keys": [one.public for one in self.keys]})


@asynccontextmanager
async def serving(address: str, port: int, *routes: web.RouteDef) -> AsyncIterator[None]:
    """An HTTP server of these routes."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def issuing(address: str, port: int, *keys: Key) -> AsyncIterator[Issuer]:
    """An issuer whose keys are at http://issuer.example.com/keys."""
    issuer = Issuer(list(keys))
    async with serving(address, port, web.get("/keys", issuer.given)):
        yield issuer
