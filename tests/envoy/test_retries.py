"""Retries of many requests at once, by the real Envoy."""

from __future__ import annotations

import asyncio

from engine.engine import Engine
from engine.seal import KEY_BYTES, Sealer
from tests.support.backend import backends
from tests.support.client import Ask, ask
from tests.support.manifests import change_set, endpoints, gateway, route, service
from tests.support.proxy import proxies

_ADDRESS, _BACKEND = "127.5.0.254", "127.5.0.1"
_REQUESTS = 60


async def test_each_of_many_failed_requests_is_tried_again() -> None:
    """All of them wait for their retry together, and each is answered by it."""
    sealer = Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    rule = {"backendRefs": [{"name": "s", "port": 80}], "retry": {"codes": [503], "attempts": 1, "backoff": "300ms"}}
    objects = (gateway(), service(), endpoints("s", _BACKEND), route("r", rules=[rule]))
    engine.apply(change_set(*objects), 0)
    async with (
        backends({(_BACKEND, 9000): "1"}),
        proxies(engine.everything().fragments.set, sealer, _ADDRESS),
    ):
        asked = [Ask("example.com", headers={"x-echo-fail": f"1 {number}"}) for number in range(_REQUESTS)]
        answers = await asyncio.gather(*(ask(_ADDRESS, 8080, one) for one in asked))
    assert [one.status for one in answers] == [200] * _REQUESTS
