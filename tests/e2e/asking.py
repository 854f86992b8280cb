"""A Gateway whose proxy asks services: engine, real Envoy, a backend, and the services where they are wanted."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from engine.engine import Engine, EngineSettings
from engine.events import Change, Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, parse_fragment_key
from tests.support.backend import Backend, backends
from tests.support.client import Answer, Ask, ask
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service
from tests.support.proxy import Proxies, proxies
from tests.support.services import Services, serving

KGATEWAY = "gateway.kgateway.dev"
ASKED = {"backendRef": {"name": "services", "port": 80}, "requestTimeout": "20s"}
"""The services, by gRPC; Envoy itself waits for 200 ms, in which a busy machine answers nothing."""
NOBODY = {"backendRef": {"name": "nobody", "port": 80}}
"""Where nobody listens."""
_PORT = 9317
_SETTINGS = EngineSettings()


class Asking:
    """What runs: `services` is None where they are down; `backend` has seen what came through."""

    def __init__(self, settings: EngineSettings) -> None:
        chosen = random.SystemRandom()
        prefix = f"127.{chosen.randrange(2, 250)}.{chosen.randrange(1, 250)}."
        self.proxy, self.backend_at, self.services_at, self.nobody = (f"{prefix}{one}" for one in (254, 1, 2, 3))
        self.sealer = Sealer(bytes(KEY_BYTES))
        self.engine = Engine(self.sealer, settings)
        self.offset = 0
        self.backend: Backend
        self.services: Services
        self.proxies: Proxies

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """A request; underscores in names of headers are dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(self.proxy, 8080, Ask("example.com", path, method, headers=named, body=body))

    async def tell(self, *changes: Change) -> None:
        """Change objects, and wait until the proxy runs what comes of it."""
        self.offset += 1
        update = self.engine.apply(change_set(*changes, number=self.offset), self.offset)
        assert update.warnings == ()
        fragments: dict[str, Fragment | None] = {**update.fragments.set, **dict.fromkeys(update.fragments.removed)}
        self.proxies.apply(fragments, {name: parse_fragment_key(name) for name in fragments}, self.offset + 1)
        if fragments:
            await self.proxies.taken({str(gateway().ref)}, self.offset + 1)


@asynccontextmanager
async def asking(
    *objects: Put, routes: tuple[str, ...] = (), priority: str = "", settings: EngineSettings = _SETTINGS
) -> AsyncIterator[Asking]:
    """A Gateway `gw` with a route for each path, named as it; `/` beside them. `priority` is that of its policies."""
    place = Asking(settings)
    base = [_preferring(priority), route("rest"), service(), endpoints("s", place.backend_at)]
    base += [route(one, path=f"/{one}") for one in routes]
    base += [service("services"), endpoints("services", place.services_at, port=_PORT)]
    base += [service("nobody"), endpoints("nobody", place.nobody, port=_PORT)]
    assert place.engine.apply(change_set(*base, *objects), 0).warnings == ()
    fragments = place.engine.everything().fragments.set
    async with AsyncExitStack() as running:
        place.services = await running.enter_async_context(serving(f"{place.services_at}:{_PORT}"))
        found = await running.enter_async_context(backends({(place.backend_at, 9000): "1"}))
        place.backend = found["1"]
        place.proxies = await running.enter_async_context(proxies(fragments, place.sealer, place.proxy))
        yield place


def _preferring(priority: str) -> Put:
    made = gateway()
    annotations = {"kgateway.dev/inherited-policy-priority": priority} if priority else {}
    return Put(made.ref, {**made.object, "metadata": {**made.object["metadata"], "annotations": annotations}})


def extension(name: str, generation: int = 1, **spec: Any) -> Put:
    """A GatewayExtension."""
    return put(KGATEWAY, "v1alpha1", "GatewayExtension", name, {"spec": spec}, generation)


def policy(name: str, kind: str, target: str, **spec: Any) -> Put:
    """A TrafficPolicy at one object."""
    named = {"group": API, "kind": kind, "name": target}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", name, {"spec": {"targetRefs": [named], **spec}})
