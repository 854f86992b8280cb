"""Asks an OpenID Connect issuer for its configuration (OpenID Connect Discovery 1.0 §4), over HTTPS.

Who writes manifests chooses whom we ask: so no redirect is followed, nothing but this one path is asked for, the
answer's size and time are limited, and of what it says nothing is told but its issuer, and endpoints.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from streams.sources.discovery import NoConfiguration, Said

_PATH: Final = "/.well-known/openid-configuration"
_BYTES: Final = 64 << 10
_SECONDS: Final = 10.0
_AT_ONCE: Final = 8
_OK: Final = 200
_CHARACTERS: Final = 2048
_SHOWN: Final = 128
_FIELDS: Final = {
    "authorization_endpoint": "authorizationEndpoint",
    "token_endpoint": "tokenEndpoint",
    "end_session_endpoint": "endSessionEndpoint",
    "jwks_uri": "jwksURI",
}


@dataclass(slots=True)
class Issuers:
    """Asks each issuer over a connection of its own, few at once. `certificates` reads those that are trusted, once."""

    certificates: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = _SECONDS
    trust: ssl.SSLContext | None = None
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, issuer: str) -> Said:
        """See `Ask`."""
        async with self.turns:
            return await self._ask(issuer)

    async def _ask(self, issuer: str) -> Said:
        try:
            trust = await self._trust()
            async with asyncio.timeout(self.seconds):
                return _read(issuer, await _get(issuer.removesuffix("/") + _PATH, trust))
        except TimeoutError:
            msg = f"it does not answer within {self.seconds:g} s"
        except aiohttp.ClientConnectorCertificateError:
            msg = "its certificate is not trusted: give the CA certificates with SSL_CERT_FILE"
        except (aiohttp.ClientError, OSError, ValueError):
            # In few words, whatever it is: who writes manifests learns nothing of what is behind us.
            msg = "it cannot be reached over HTTPS"
        raise NoConfiguration(msg)

    async def _trust(self) -> ssl.SSLContext:
        """In a thread: a system's certificates are some hundred."""
        async with self.reading:
            if self.trust is None:
                self.trust = await asyncio.to_thread(self.certificates)
            return self.trust


async def _get(url: str, trust: ssl.SSLContext) -> bytes:
    async with _session(trust) as session, session.get(url, allow_redirects=False) as answer:
        if answer.status != _OK:
            status = f"HTTP {answer.status // 100}xx"
            msg = f"it answers with {status}"
            if answer.status // 100 == 3:
                msg = f"it sends elsewhere ({status}), which is not followed: name that one"
            raise NoConfiguration(msg, said=str(answer.status))
        found = b""
        while chunk := await answer.content.read(_BYTES + 1 - len(found)):
            found += chunk
        if len(found) > _BYTES:
            msg = f"what it says is larger than {_BYTES >> 10} KiB"
            raise NoConfiguration(msg)
        return found


@asynccontextmanager
async def _session(trust: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "penstock"},
        # Unpacked it may be of any size.
        auto_decompress=False,
    ) as session:
        yield session


def _read(issuer: str, text: bytes) -> Said:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, Mapping):
        msg = "what it says is no JSON object"
        raise NoConfiguration(msg)
    if found.get("issuer") != issuer:
        # §4.3: or whoever can write there could speak for another issuer.
        msg = "it says that its issuer is another one: issuerURI must be that, to the letter"
        msg += " (the log of the role watch has it)"
        raise NoConfiguration(msg, said=repr(str(found.get("issuer"))[:_SHOWN]))
    return {ours: _text(found, theirs) for theirs, ours in _FIELDS.items() if found.get(theirs) is not None}


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    if not isinstance(value, str):
        msg = f"its {name} is no text"
        raise NoConfiguration(msg)
    if len(value) > _CHARACTERS:
        msg = f"its {name} is longer than {_CHARACTERS} characters"
        raise NoConfiguration(msg)
    return value
