"""Browsers are signed in by the real Envoy with a real provider: there, back, in, and out; forged cookies let nobody in."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.backend import backends
from tests.support.client import Answer, Ask, ask
from tests.support.issuer import LATER, Key
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service
from tests.support.mute import mute
from tests.support.provider import NAME, Provider, providing
from tests.support.proxy import proxies
from tests.support.running import START_SECONDS

pytestmark = pytest.mark.envoy
_KGATEWAY: Final = "gateway.kgateway.dev"
_PORT: Final = 9319
_ELSEWHERE: Final = 9320
_SECRET: Final = "top-secret-of-the-shop"
_CLAIMS: Final = {"iss": NAME, "aud": "shop", "sub": "ann", "exp": LATER}
_FOUND, _REFUSED, _FINE = 302, 401, 200


class Browser:
    """Keeps the cookies that it is given."""

    def __init__(self, address: str, port: int = 8080) -> None:
        self.address, self.port = address, port
        self.cookies: dict[str, str] = {}
        self.given: list[str] = []

    async def ask(self, path: str = "/", **headers: str) -> Answer:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"cookie": kept} if kept else {}
        answer = await ask(self.address, self.port, Ask("shop.example.com", path, headers=given | headers))
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                self._keep(value)
        return answer

    async def sign_in(self, provider: Provider, path: str = "/") -> Answer:
        """The answer to what the browser asks for, once it is signed in."""
        async with asyncio.timeout(START_SECONDS):
            # Until the proxy has its secrets it answers 503.
            while (answer := await self.ask(path)).status != _FOUND:
                await asyncio.sleep(0.05)
        back = urlsplit(provider.signed_in(str(answer.header("location"))))
        answer = await self.ask(f"{back.path}?{back.query}")
        assert (answer.status, answer.header("location")) == (_FOUND, f"http://shop.example.com{path}"), answer
        return await self.ask(path)

    def _keep(self, cookie: str) -> None:
        self.given.append(cookie)
        name, _, rest = cookie.partition("=")
        value = rest.partition(";")[0]
        if "1970" in rest or "Max-Age=0" in rest:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


class Place:
    """Addresses of its own: of the proxy, the backend and the provider."""

    def __init__(self) -> None:
        chosen = random.SystemRandom()
        prefix = f"127.{chosen.randrange(2, 250)}.{chosen.randrange(1, 250)}."
        self.proxy, self.backend, self.provider = (f"{prefix}{one}" for one in (254, 1, 2))


def _extension(name: str, **more: Any) -> Put:
    spec = {
        "backendRef": {"name": "login", "port": 80},
        "authorizationEndpoint": f"{NAME}/authorize",
        "tokenEndpoint": f"{NAME}/token",
        "credentials": {"clientID": "shop", "clientSecretRef": {"name": "client"}},
        "scopes": ["openid"],
        **more,
    }
    return put(_KGATEWAY, "v1alpha1", "GatewayExtension", name, {"spec": {"oauth2": spec}})


def _policy(name: str, of: str) -> Put:
    spec = {"targetRefs": [{"group": API, "kind": "HTTPRoute", "name": of}], "oauth2": {"extensionRef": {"name": name}}}
    return put(_KGATEWAY, "v1alpha1", "TrafficPolicy", name, {"spec": spec})


@asynccontextmanager
async def _running(*, is_there: bool = True, **more: Any) -> AsyncIterator[tuple[Browser, Provider]]:
    place, sealer = Place(), Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    secret = put("", "v1", "Secret", "client", {"data": {"client-secret": sealer.seal_text(_SECRET.encode())}})
    objects = [gateway(), route("r"), route("other", path="/other"), service(), endpoints("s", place.backend), secret]
    objects += [service("login"), endpoints("login", place.provider, port=_PORT)]
    objects += [_extension("one", **more), _policy("one", "r")]
    objects += [_extension("two", redirectURI="http://shop.example.com/other/back"), _policy("two", "other")]
    assert engine.apply(change_set(*objects), 0).warnings == ()
    fragments = engine.everything().fragments.set
    assert not any(_SECRET.encode() in one.payload for one in fragments.values())
    async with (
        backends({(place.backend, 9000): "1"}),
        proxies(fragments, sealer, place.proxy),
        providing(place.provider, _PORT if is_there else _ELSEWHERE, _SECRET, **_CLAIMS) as provider,
    ):
        yield Browser(place.proxy), provider


def _received(answer: Answer) -> dict[str, str]:
    headers: list[tuple[str, str]] = json.loads(answer.body)["headers"]
    return dict(headers)


async def test_a_browser_is_signed_in_and_out() -> None:
    async with _running(forwardAccessToken=True, endSessionEndpoint=f"{NAME}/end") as (browser, provider):
        answer = await browser.sign_in(provider, "/cart?all=1")
        assert answer.status == _FINE
        assert _received(answer)["authorization"] == f"Bearer {provider.given[0]}"
        assert provider.granted == ["authorization_code"]
        assert not any(given in cookie for given in provider.given for cookie in browser.given), "they are encrypted"
        assert all("secure" in one and "HttpOnly" in one for one in browser.given if "1970" not in one)
        answer = await browser.ask("/logout")
        assert str(answer.header("location")).startswith(f"{NAME}/end")
        assert not any(name.startswith(("AccessToken", "OauthHMAC", "IdToken", "RefreshToken")) for name in browser.cookies)
        assert (await browser.ask()).status == _FOUND


async def test_what_a_client_sends_itself_is_left_to_the_backend_unless_tokens_are_forwarded() -> None:
    async with _running() as (browser, provider):
        assert (await browser.sign_in(provider)).status == _FINE
        assert _received(await browser.ask(authorization="Basic eDp5"))["authorization"] == "Basic eDp5"


async def test_the_provider_is_told_what_it_is_asked_for() -> None:
    async with _running(scopes=["openid", "email"], redirectURI="https://shop.example.com/back") as (browser, provider):
        async with asyncio.timeout(START_SECONDS):
            while (answer := await browser.ask()).status != _FOUND:
                await asyncio.sleep(0.05)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(str(answer.header("location"))).query).items()}
        assert (asked["client_id"], asked["scope"], asked["redirect_uri"]) == (
            "shop", "openid email", "https://shop.example.com/back",
        )  # fmt: skip
        back = urlsplit(provider.signed_in(str(answer.header("location"))))
        assert (await browser.ask(f"{back.path}?{back.query}")).status == _FOUND
        assert (await browser.ask()).status == _FINE


async def test_forged_cookies_let_nobody_in() -> None:
    async with _running() as (browser, provider):
        # With it any of them would be had anew.
        provider.refreshes = False
        assert (await browser.sign_in(provider)).status == _FINE
        own = {name.rpartition("-")[0]: (name, value) for name, value in browser.cookies.items()}
        kept = dict(browser.cookies)
        later, signed = own["OauthExpires"][0], own["OauthHMAC"][0]
        for forged in (
            {**kept, later: str(int(kept[later]) + 1000)},
            {**kept, signed: "AAAA"},
            {name: value for name, value in kept.items() if name != signed},
        ):
            browser.cookies = dict(forged)
            assert (await browser.ask()).status == _FOUND, forged
        browser.cookies = dict(kept)
        assert (await browser.ask()).status == _FINE


async def test_a_sign_in_for_one_extension_is_none_for_another() -> None:
    async with _running() as (browser, provider):
        provider.refreshes = False
        assert (await browser.sign_in(provider)).status == _FINE
        there = Browser(browser.address)
        assert (await there.sign_in(provider, "/other")).status == _FINE
        suffix = next(iter(there.cookies)).rpartition("-")[2]
        renamed = {f"{name.rpartition('-')[0]}-{suffix}": value for name, value in browser.cookies.items()}
        assert renamed.keys() == there.cookies.keys()
        there.cookies = renamed
        assert (await there.ask("/other")).status == _FOUND


async def test_a_sign_in_of_somebody_else_is_not_taken_over() -> None:
    """Who follows a link that somebody else began is not signed in as them (RFC 6749 §10.12)."""
    async with _running() as (browser, provider):
        assert (await browser.sign_in(provider)).status == _FINE
        browser.cookies.clear()
        began = str((await browser.ask()).header("location"))
        back = urlsplit(provider.signed_in(began))
        victim = Browser(browser.address)
        assert (await victim.ask(f"{back.path}?{back.query}")).status == _REFUSED
        assert victim.cookies == {}


async def test_tokens_are_checked_and_told_of() -> None:
    checks = {
        "jwksURI": f"{NAME}/keys",
        "accessToken": {"audiences": ["shop"], "claimsToHeaders": [{"name": "sub", "header": "x-user"}]},
        "idToken": {},
    }
    async with _running(issuerURI=NAME, jwt=checks) as (browser, provider):
        answer = await browser.sign_in(provider)
        assert (answer.status, _received(answer)["x-user"]) == (_FINE, "ann")
        for claims, signer in (({**_CLAIMS, "aud": "other"}, None), ({**_CLAIMS, "iss": "x"}, None), (_CLAIMS, Key("one"))):
            browser.cookies.clear()
            provider.claims, provider.signer = claims, signer
            assert (await browser.sign_in(provider)).status in (_REFUSED, 403), (claims, signer)


async def test_what_expires_is_refreshed() -> None:
    async with _running() as (browser, provider):
        provider.lasting = 1
        assert (await browser.sign_in(provider)).status == _FINE
        async with asyncio.timeout(START_SECONDS):
            while "refresh_token" not in provider.granted:
                assert (await browser.ask()).status == _FINE
                await asyncio.sleep(0.1)


async def test_who_has_another_secret_is_not_given_tokens() -> None:
    async with _running() as (browser, provider):
        provider.secret = "another"
        async with asyncio.timeout(START_SECONDS):
            while (answer := await browser.ask()).status != _FOUND:
                await asyncio.sleep(0.05)
        back = urlsplit(provider.signed_in(str(answer.header("location"))))
        assert (await browser.ask(f"{back.path}?{back.query}")).status == _REFUSED
        assert provider.granted == []


async def test_nobody_is_signed_in_while_the_provider_is_away_or_hangs() -> None:
    """It is waited for, fifteen seconds at most."""
    async with _running(is_there=False) as (browser, provider):
        async with asyncio.timeout(START_SECONDS):
            while (answer := await browser.ask()).status != _FOUND:
                await asyncio.sleep(0.05)
        back = urlsplit(provider.signed_in(str(answer.header("location"))))
        assert (await browser.ask(f"{back.path}?{back.query}")).status == _REFUSED
        assert (await browser.ask()).status == _FOUND
        async with mute(browser.address.removesuffix("254") + "2", _PORT) as hanging:
            back = urlsplit(provider.signed_in(str((await browser.ask()).header("location"))))
            assert (await browser.ask(f"{back.path}?{back.query}")).status == _REFUSED
            assert hanging.heard
        assert (await browser.ask()).status == _FOUND
        assert provider.granted == []
