"""The whole way, before a real API server: a policy chooses Secrets by labels, and who gets or loses them is let in or shut out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import VirtualHost
from envoy_data_plane.envoy.extensions.filters.http.api_key_auth.v3 import ApiKeyAuthPerRoute

from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from streams.topics import Topic
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import GATEWAY_API, secret
from tests.kubernetes.plane import Plane
from tests.kubernetes.stage import real_stage

pytestmark = pytest.mark.kubernetes
_SEALER = Sealer(bytes(range(KEY_BYTES)))
_FILTER = "envoy.filters.http.api_key_auth"


def _object(api: str, kind: str, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _keys(namespace: str, name: str, label: str, key: str) -> dict[str, Any]:
    found = secret(namespace, name, key)
    return {**found, "metadata": {**found["metadata"], "labels": {"keys-of": label}}}


def _let_in(plane: Plane) -> list[str] | None:
    """The keys that the Gateway's proxies take; None where all is answered with 500."""
    for one in plane.engine.everything().fragments.set.values():
        if one.key.kind is FragmentKind.VIRTUAL_HOST and one.key.gateway.namespace == plane.stage.namespace:
            payload = _SEALER.unseal(one.payload, str(one.key).encode()) if one.sealed else one.payload
            configs = VirtualHost.parse(payload).typed_per_filter_config
            if _FILTER in configs and "penstock.dev/closed" not in configs:
                return sorted(one.key for one in ApiKeyAuthPerRoute.parse(configs[_FILTER].value).credentials)
    return None


async def _until(plane: Plane, keys: list[str] | None) -> None:
    async with asyncio.timeout(plane.stage.seconds):
        while _let_in(plane) != keys:
            await asyncio.sleep(0.05)


async def test_who_has_the_label_is_let_in(api_server: ApiServerProcess) -> None:
    async with real_stage(api_server) as stage:
        plane, space = Plane(stage), stage.namespace
        target = {"group": GATEWAY_API, "kind": "Gateway", "name": "gw", "sectionName": "http"}
        listener = {"name": "http", "port": 80, "protocol": "HTTP"}
        selector = {"secretSelector": {"matchLabels": {"keys-of": "orders"}}}
        policy = _object("gateway.kgateway.dev/v1alpha1", "TrafficPolicy", space, "p", targetRefs=[target], apiKeyAuth=selector)
        rules = [{"backendRefs": [{"name": "s", "port": 80}]}]
        gateway = _object(f"{GATEWAY_API}/v1", "Gateway", space, "gw", gatewayClassName="penstock", listeners=[listener])
        for one in (gateway, _object(f"{GATEWAY_API}/v1", "HTTPRoute", space, "r", parentRefs=[{"name": "gw"}], rules=rules)):
            await stage.put(one)
        await stage.put(_keys(space, "ann", "orders", "key-of-ann"))
        await stage.put(_keys(space, "eve", "others", "key-of-eve"))
        async with plane.up():
            await plane.passed()
            assert _let_in(plane) is None
            await stage.put(policy)
            await _until(plane, ["key-of-ann"])
            await stage.put(_keys(space, "bob", "orders", "key-of-bob"))
            await _until(plane, ["key-of-ann", "key-of-bob"])
            await stage.put(_keys(space, "ann", "nothing", "key-of-ann"))
            await _until(plane, ["key-of-bob"])
            await stage.put(_keys(space, "bob", "orders", "another-of-bob"))
            await _until(plane, ["another-of-bob"])
            await stage.delete(policy)
            await _until(plane, None)
            await plane.passed()
        records = [one async for batch in plane.log.read(Topic.CHANGES, 0) for one in batch]
        assert not any(b"Secret" in (one.value or b"") and b'"eve"' in (one.value or b"") for one in records)
        assert not any(b"key-of" in (one.value or b"") for one in records)
        state = plane.engine.state()
        assert not [key for key in state if "/Secret" in key and f"/{space}/" in key]
