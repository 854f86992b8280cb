"""A backend that comes to be asked for over TLS, and cannot be, is sent nothing more, by the real Envoy."""

from __future__ import annotations

import asyncio

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.backend import backends
from tests.support.client import Ask, ask
from tests.support.manifests import change_set, endpoints, gateway, put, route, service
from tests.support.proxy import proxies

_ADDRESS, _BACKEND = "127.5.0.253", "127.5.0.2"


def policy() -> Put:
    """Its authority is not there."""
    authority = {"group": "", "kind": "ConfigMap", "name": "none"}
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
        "validation": {"hostname": "a.example.com", "caCertificateRefs": [authority]},
    }
    return put("gateway.networking.k8s.io", "v1", "BackendTLSPolicy", "p", {"spec": spec})


async def test_a_policy_that_cannot_be_met_ends_what_was_sent_in_clear() -> None:
    """A proxy keeps a cluster as long as its routes name it: taken away, it would serve on without TLS."""
    sealer = Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    engine.apply(change_set(gateway(), service(), endpoints("s", _BACKEND), route("r")), 0)
    before = engine.everything().fragments.set
    async with backends({(_BACKEND, 9000): "1"}), proxies(before, sealer, _ADDRESS) as running:
        assert (await ask(_ADDRESS, 8080, Ask("example.com"))).status == 200
        update = engine.apply(change_set(policy(), number=1), 1)
        after = engine.everything().fragments.set
        keys = {name: one.key for name, one in (before | after).items()}
        running.apply({**update.fragments.set, **dict.fromkeys(update.fragments.removed)}, keys, 1)
        await running.taken({str(one.gateway) for one in keys.values()}, 1)
        async with asyncio.timeout(240):
            while (await ask(_ADDRESS, 8080, Ask("example.com"))).status == 200:
                await asyncio.sleep(0.05)
        assert {(await ask(_ADDRESS, 8080, Ask("example.com"))).status for _ in range(20)} == {503}
