"""What is wanted of the world: proxies are told from objects that are asked for, whatever a cluster is called."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import CONTROL, Pin, SyncBegin, SyncEnd
from engine.outputs.channels import LOOKUP, is_lookup
from engine.placement import Placement
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.codec import encode_update
from streams.memory import MemoryLog
from streams.sinks.infra import follow_proxies
from streams.sources.absent import absent
from streams.sources.lookups import lookups
from streams.telemetry import Health
from tests.property.test_imports import in_cluster, told
from tests.support.manifests import change_set, gateway

_SECONDS = 240.0
_GATEWAY = gateway().ref
_TLS = {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}


async def _log(cluster: str) -> MemoryLog:
    """With a Gateway of a cluster, whose certificate is asked for."""
    engine = Engine(Sealer(bytes(KEY_BYTES)), EngineSettings())
    one = in_cluster(gateway("gw", _TLS), cluster)
    update = engine.apply(replace(change_set(SyncBegin(), one, SyncEnd()), cluster=cluster), 0)
    log = MemoryLog()
    async with log.writer("resolver") as writer:
        await writer.write(encode_update("default", 0, update, {}))
    return log


@pytest.mark.parametrize("cluster", ["east", "lookup"])
async def test_who_follows_proxies_is_told_of_those_of_every_cluster(cluster: str) -> None:
    log = await _log(cluster)
    asked = asyncio.Queue[list[str]]()
    following = asyncio.create_task(follow_proxies(log, 0, lambda one: asked.put_nowait(sorted(one.rows)), Health()))
    try:
        async with asyncio.timeout(_SECONDS):
            assert await asked.get() == [str(_GATEWAY._replace(cluster=cluster))]
    finally:
        following.cancel()


@pytest.mark.parametrize("cluster", ["east", "lookup"])
async def test_a_cluster_that_is_not_watched_is_found_whatever_it_is_called(cluster: str) -> None:
    log = await _log(cluster)
    assert list(await absent(log, 0, [])) == [cluster]
    assert not await absent(log, 0, [cluster])


@pytest.mark.parametrize("cluster", ["east", "lookup"])
async def test_what_is_asked_for_is_no_proxy(cluster: str) -> None:
    log = await _log(cluster)
    async with aclosing(lookups(log)) as told, asyncio.timeout(_SECONDS):
        assert await anext(told) == {Ref(cluster, "", "Secret", "default", "cert")}


@pytest.mark.parametrize("cluster", ["local", "lookup"])
def test_a_pinned_gateway_has_its_proxies_as_it_had_them_then(cluster: str) -> None:
    """Whoever wants something read counts beside; of a proxy its own Gateway's word alone does."""
    engine = Engine(Sealer(bytes(KEY_BYTES)), EngineSettings())
    told(engine, 0, in_cluster(gateway("gw"), cluster))
    ref = str(_GATEWAY._replace(cluster=cluster))
    before = engine.everything().infra.set[ref]
    engine.apply(change_set(Pin("p", _GATEWAY._replace(cluster=cluster), 0, "it broke"), number=1, source=CONTROL), 1)
    told(engine, 2, in_cluster(gateway("gw", {"name": "http", "port": 8081, "protocol": "HTTP"}), cluster))
    assert engine.everything().infra.set[ref] == before


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (f"{LOOKUP}{_GATEWAY}", True),
        (f"{LOOKUP}{_GATEWAY._replace(cluster='lookup')}", True),
        (str(_GATEWAY._replace(cluster="lookup")), False),
        (str(Placement(_GATEWAY._replace(cluster="lookup"), "east")), False),
        (str(Placement(_GATEWAY, "lookup")), False),
    ],
)
def test_a_lookup_is_told_by_all_of_its_name(name: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_lookup(name) is is_one
