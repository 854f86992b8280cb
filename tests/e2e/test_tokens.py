"""Tokens are checked by the real Envoy with keys that it fetches from a real issuer; nobody passes while it has none."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.backend import backends
from tests.support.client import Answer, Ask, ask
from tests.support.issuer import LATER, LONG_AGO, Key, issuing
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service
from tests.support.mute import mute
from tests.support.proxy import proxies
from tests.support.running import START_SECONDS

pytestmark = pytest.mark.envoy
_KGATEWAY: Final = "gateway.kgateway.dev"
_PORT: Final = 9318
_URL: Final = "http://issuer.example.com/keys"
_CLAIMS: Final = {"iss": "https://issuer.example.com", "aud": ["shop", "other"], "exp": LATER}


class Place:
    """Addresses of its own: of the proxy, the backend and the issuer."""

    def __init__(self) -> None:
        chosen = random.SystemRandom()
        prefix = f"127.{chosen.randrange(2, 250)}.{chosen.randrange(1, 250)}."
        self.proxy, self.backend, self.issuer = (f"{prefix}{one}" for one in (254, 1, 2))

    async def ask(self, token: str = "", path: str = "/", **headers: str) -> Answer:
        given = {"authorization": f"Bearer {token}"} if token else {}
        return await ask(self.proxy, 8080, Ask("example.com", path, headers=given | headers))

    async def until(self, status: int, token: str) -> Answer:
        """The first answer of that status."""
        async with asyncio.timeout(START_SECONDS):
            while (answer := await self.ask(token)).status != status:
                await asyncio.sleep(0.1)
        return answer


def _extension(name: str = "tokens", **provider: Any) -> Put:
    remote = {"url": _URL, "backendRef": {"name": "issuer", "port": 80}, "cacheDuration": "1s"}
    one = {
        "name": "one", "issuer": _CLAIMS["iss"], "audiences": ["shop"],
        "claimsToHeaders": [{"name": "sub", "header": "x-user"}, {"name": "team.name", "header": "x-team"}],
        "jwks": {"remote": remote}, **provider,
    }  # fmt: skip
    return put(_KGATEWAY, "v1alpha1", "GatewayExtension", name, {"spec": {"jwt": {"providers": [one]}}})


def _policy(**spec: Any) -> Put:
    target = {"group": API, "kind": "HTTPRoute", "name": "r"}
    asked = {"targetRefs": [target], "jwtAuth": {"extensionRef": {"name": "tokens"}}, **spec}
    return put(_KGATEWAY, "v1alpha1", "TrafficPolicy", "p", {"spec": asked})


@asynccontextmanager
async def _running(*more: Put) -> AsyncIterator[Place]:
    place, sealer = Place(), Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    objects = [gateway(), route("r"), route("open", path="/open"), service(), endpoints("s", place.backend)]
    objects += [service("issuer"), endpoints("issuer", place.issuer, port=_PORT), *more]
    assert engine.apply(change_set(*objects), 0).warnings == ()
    fragments = engine.everything().fragments.set
    async with backends({(place.backend, 9000): "1"}), proxies(fragments, sealer, place.proxy):
        yield place


async def test_tokens_are_checked_by_keys_that_are_fetched() -> None:
    key, stranger = Key("one"), Key("one")
    async with _running(_extension(), _policy()) as place, issuing(place.issuer, _PORT, key) as issuer:
        answer = await place.ask(key.token(**_CLAIMS, sub="ann", team={"name": "web"}))
        assert answer.status == 200
        assert b'"x-user", "ann"' in answer.body
        assert b'"x-team", "web"' in answer.body
        assert b'"authorization"' not in answer.body
        assert issuer.asked == 1
        refused = {
            "": 401,
            "nonsense": 401,
            key.token(**{**_CLAIMS, "exp": LONG_AGO}): 401,
            key.token(**_CLAIMS, nbf=LATER): 401,
            key.token(**{**_CLAIMS, "aud": "another"}): 403,
            key.token(iss=_CLAIMS["iss"], exp=LATER): 403,
            key.token(**{**_CLAIMS, "iss": "https://another.example.com"}): 401,
            stranger.token(**_CLAIMS): 401,
        }
        for token, status in refused.items():
            assert (await place.ask(token)).status == status, token
        assert (await place.ask(path="/open")).status == 200


async def test_a_claim_can_be_told_of_beside_its_header() -> None:
    key = Key("one")
    told = "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%"
    spec = {"headerModifiers": {"response": {"set": [{"name": "x-said", "value": told}]}}}
    async with _running(_extension(), _policy(**spec)) as place, issuing(place.issuer, _PORT, key):
        assert (await place.ask(key.token(**_CLAIMS, sub="ann"))).header("x-said") == "ann"


async def test_a_key_that_is_replaced_counts_no_longer() -> None:
    old, new = Key("old"), Key("new")
    async with _running(_extension(), _policy()) as place, issuing(place.issuer, _PORT, old) as issuer:
        assert (await place.ask(old.token(**_CLAIMS))).status == 200
        assert (await place.ask(new.token(**_CLAIMS))).status == 401
        issuer.keys[:] = [new]
        await place.until(200, new.token(**_CLAIMS))
        assert (await place.ask(old.token(**_CLAIMS))).status == 401


@pytest.mark.parametrize("early", [None, {}, {"fastListener": True, "failedRefetchDuration": "100ms"}])
async def test_nobody_passes_while_the_issuer_is_away(early: dict[str, Any] | None) -> None:
    key = Key("one")
    remote = {"url": _URL, "backendRef": {"name": "issuer", "port": 80}}
    remote |= {} if early is None else {"asyncFetch": early}
    async with _running(_extension(jwks={"remote": remote}), _policy()) as place:
        token = key.token(**_CLAIMS)
        assert (await place.ask(token)).status == 401
        assert (await place.ask(path="/open")).status == 200
        if early is None:
            # With a request for each token that comes it is waited for, five seconds at most.
            async with mute(place.issuer, _PORT) as issuer:
                assert (await place.ask(token)).status == 401
                assert issuer.heard
        async with issuing(place.issuer, _PORT, key):
            await place.until(200, token)
        assert (await place.ask(token)).status == 200, "the keys are kept"
