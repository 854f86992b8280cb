"""An issuer that says of itself what a test has it say (OpenID Connect Discovery 1.0), over HTTPS at an address."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificate import pair

_PATH = "/.well-known/openid-configuration"


@dataclass(slots=True)
class WellKnown:
    """`answers` are by the issuer's path; where there is none it answers with 404. `asked` are the paths asked for."""

    uri: str
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def says(self, path: str = "", **more: Any) -> None:
        """What a good one says, and more."""
        issuer = self.uri + path
        said = {"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token"}
        self.answers[path.removesuffix("/")] = {**said, **more}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.asked.append(request.path)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        answer = self.answers.get(request.path.removesuffix(_PATH)) if request.path.endswith(_PATH) else None
        if answer is None:
            return web.Response(status=404)
        if callable(answer):
            found: web.StreamResponse = await answer(request)
            return found
        return web.Response(body=answer) if isinstance(answer, bytes) else web.json_response(answer)


def certified(folder: Path, address: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for an address, as a file to trust and as what serves with it."""
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    chain, key = pair(ec.generate_private_key(ec.SECP256R1()), names)
    trusted, private = folder / "issuer.crt", folder / "issuer.key"
    trusted.write_bytes(chain)
    private.write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(trusted, private)
    return trusted, context


@asynccontextmanager
async def well_known(address: str, port: int, tls: ssl.SSLContext) -> AsyncIterator[WellKnown]:
    """One that says nothing yet."""
    found = WellKnown(f"https://{address}:{port}")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, ssl_context=tls).start()
        yield found
    finally:
        await runner.cleanup()
