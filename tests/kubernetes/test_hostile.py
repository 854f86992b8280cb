"""What a user may write, or an API server answer, that must cost nobody else anything: no crash, no standstill."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from engine.events import Refused
from streams.kubernetes.client import connect
from streams.kubernetes.cluster import Away, Target
from streams.memory import MemoryLog
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import config_map
from tests.kubernetes.stage import RealStage, real_stage
from tests.kubernetes.test_watch import has, sets, until, value, watching

_MAPS = Target("", "ConfigMap", "configmaps", "v1")
_PARAMETERS = "/apis/gateway.kgateway.dev/v1alpha1/namespaces/{}/gatewayparameters"
_DEEP = 4000
"""Levels: an API server takes 10,000, which is more than Python's parsers do."""


@asynccontextmanager
async def deep(stage: RealStage, name: str) -> AsyncIterator[None]:
    """GatewayParameters with an overlay of so many levels."""
    path, version = _PARAMETERS.format(stage.namespace), "gateway.kgateway.dev/v1alpha1"
    head = {"apiVersion": version, "kind": "GatewayParameters", "metadata": {"name": name}}
    text = json.dumps({**head, "spec": {"kube": {"deploymentOverlay": {"spec": "@"}}}})
    # A string with brackets and an escaped quote in it: they count for nothing.
    await stage.api.create(path, text.replace('"@"', '{"a{[\\"":' * _DEEP + "1" + "}" * _DEEP))
    try:
        yield
    finally:
        await stage.api.call("DELETE", f"{path}/{name}")


async def refusals(log: MemoryLog) -> list[str]:
    return [one.message for found in await sets(log) for one in found.changes if isinstance(one, Refused)]


@pytest.mark.kubernetes
async def test_an_object_too_deep_to_be_read_is_refused_by_itself(api_server: ApiServerProcess) -> None:
    log = MemoryLog()
    async with real_stage(api_server) as stage, deep(stage, "one"):
        await stage.put(config_map(stage.namespace, "a", "1"))
        async with watching(log, stage):
            await has(log, stage, "ConfigMap/a")
            async with deep(stage, "two"):
                await until(stage, lambda: _are(log, 2))
            await stage.put(config_map(stage.namespace, "b", "1"))
            await has(log, stage, "ConfigMap/a", "ConfigMap/b")
        assert all("nested too deeply" in one for one in await refusals(log))


async def _are(log: MemoryLog, number: int) -> bool:
    return len(await refusals(log)) == number


@pytest.mark.kubernetes
async def test_an_object_that_is_large_on_the_wire_ends_no_watch(api_server: ApiServerProcess) -> None:
    """An API server writes each of these characters as six."""
    log = MemoryLog()
    async with real_stage(api_server) as stage, watching(log, stage) as watcher:
        await has(log, stage)
        await until(stage, lambda: sets(log))
        await stage.put(config_map(stage.namespace, "large", "<" * 1_000_000))
        await stage.put(config_map(stage.namespace, "small", "1"))
        await until(stage, lambda: value(log, stage, "small"))
        assert not watcher.done()
        assert await value(log, stage, "large") == "<" * 1_000_000


_NONSENSE: tuple[Any, ...] = (
    {}, [], None, 5, "x", {"kind": "Status"}, {"kind": "ConfigMapList", "metadata": {}},
    {"kind": "ConfigMapList", "metadata": 5}, {"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": [1]},
    {"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": 1}]},
    {"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {}}]},
    {"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": 7},
)  # fmt: skip


@asynccontextmanager
async def answering(text: str, folder: Path) -> AsyncIterator[Any]:
    """A client of a server that answers this to whatever it is asked."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        named = {"cluster": "c", "user": "u"}
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": named}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }))  # fmt: skip
        async with connect(kubeconfig) as cluster:
            yield cluster
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("said", _NONSENSE, ids=repr)
async def test_an_answer_that_is_no_list_says_nothing_of_what_there_is(said: Any, tmp_path: Path) -> None:
    """Taken for an empty list, it would delete everything of the kind."""
    async with answering(json.dumps(said), tmp_path) as cluster:
        with pytest.raises(Away):
            await cluster.page(_MAPS, "", 0)
        with pytest.raises(Away):
            await cluster.served()


_EVENTS: tuple[Any, ...] = (
    "", 5, [], {}, {"type": "ADDED"}, {"type": "ADDED", "object": 5}, {"type": "ADDED", "object": {}},
    {"type": "ADDED", "object": {"metadata": {"name": 5}}}, {"type": "NEW", "object": {"metadata": {"name": "a"}}},
    {"type": "BOOKMARK", "object": {"metadata": 5}}, {"type": "ERROR", "object": 5},
)  # fmt: skip


@pytest.mark.parametrize("said", _EVENTS, ids=repr)
async def test_an_event_that_is_none_says_nothing(said: Any, tmp_path: Path) -> None:
    async with answering(json.dumps(said) + "\n", tmp_path) as cluster:
        with pytest.raises(Away):
            async for _ in cluster.watch(_MAPS, "1"):
                pass
