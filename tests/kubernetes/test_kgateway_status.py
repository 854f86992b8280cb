"""Statuses of kgateway's kinds as a real API server shows them: each kind has one, beside everybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import endpoints, route, service
from tests.kubernetes.plane import CONTROLLER, Plane
from tests.kubernetes.stage import real_stage
from tests.kubernetes.test_status import gateway, settled

pytestmark = pytest.mark.kubernetes
KGATEWAY = "gateway.kgateway.dev"
API = "gateway.networking.k8s.io"
_NAMED = {"message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Accepted", "status": "True", "type": "Accepted"}
_MOST = 16


@pytest.fixture
async def plane(api_server: ApiServerProcess) -> AsyncIterator[Plane]:
    async with real_stage(api_server) as stage:
        yield Plane(stage)


def made(kind: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{KGATEWAY}/v1alpha1", "kind": kind, "metadata": {"namespace": namespace, "name": "one"}, "spec": spec}


def at(kind: str = "Gateway", name: str = "gw", group: str = API) -> list[dict[str, str]]:
    return [{"group": group, "kind": kind, "name": name}]


_BACKEND = {"type": "Static", "static": {"hosts": [{"host": "b.example.com", "port": 80}]}}
_EXT_AUTH = {"extAuth": {"grpcService": {"backendRef": {"name": "a", "port": 80}}}}
SPECS: dict[str, dict[str, Any]] = {
    "Backend": _BACKEND,
    "BackendConfigPolicy": {"targetRefs": at("Service", "a", ""), "connectTimeout": "3s"},
    "DirectResponse": {"status": 200, "body": "hello"},
    "GatewayExtension": _EXT_AUTH,
    "HTTPListenerPolicy": {"targetRefs": at(), "useRemoteAddress": True},
    "ListenerPolicy": {"targetRefs": at(), "default": {"perConnectionBufferLimitBytes": 65536}},
    "TrafficPolicy": {"targetRefs": at(), "extAuth": {"extensionRef": {"name": "one"}}},
}
"""By kind what is accepted."""
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "Backend": (
        {"type": "Static", "static": {"hosts": [{"host": "http://b.example.com", "port": 80}]}},
        "spec.static.hosts[0].host: 'http://b.example.com' is neither an IP address nor a host name",
    ),
    "GatewayExtension": (
        {"extAuth": {"grpcService": {"backendRef": {"name": "gone", "port": 80}}}},
        "gone",
    ),
}
"""What the API takes and we refuse, with what the condition says of it."""


async def shown(plane: Plane, object_: dict[str, Any], fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status once it fits, of the current generation."""
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(plane.stage.seconds):
            while True:
                whole = await plane.stage.api.get(object_)
                found = whole.get("status") or {}
                if fits(found) and generations(found) <= {whole["metadata"]["generation"]}:
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"{object_['kind']} shows {found}")


def conditions(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Ours, wherever in it they stand."""
    entries = [one for one in status.get("ancestors") or () if one["controllerName"] == CONTROLLER]
    return [one for part in (status, *entries) for one in part.get("conditions") or ()]


def generations(status: dict[str, Any]) -> set[int]:
    return {one.get("observedGeneration") for one in conditions(status)}


def says(kind: str, status: str, words: str = "") -> Callable[[dict[str, Any]], bool]:
    """Whether a condition is there with that status, and words in its message."""
    return lambda found: any(
        (one["type"], one["status"]) == (kind, status) and words in one["message"] for one in conditions(found)
    )


async def all_up(plane: Plane) -> None:
    """A Gateway, a route that sends to the Backend and answers by the DirectResponse, and one of each kind."""
    space = plane.stage.namespace
    named = {"group": KGATEWAY, "kind": "DirectResponse", "name": "one"}
    both = route(space, "r", "a")
    both["spec"]["rules"] += [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/b"}}],
         "backendRefs": [{"group": KGATEWAY, "kind": "Backend", "name": "one", "weight": 1}]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/hello"}}],
         "filters": [{"type": "ExtensionRef", "extensionRef": named}]},
    ]  # fmt: skip
    for one in (service(space, "a"), endpoints(space, "a", "10.0.0.1"), gateway(space), both):
        await plane.stage.put(one)
    for kind, spec in SPECS.items():
        await plane.stage.put(made(kind, space, **spec))


async def test_each_kind_has_its_status_and_it_is_written_once(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.watching(), plane.resolving():
        async with plane.writing():
            await all_up(plane)
            for kind in SPECS:
                found = await shown(plane, made(kind, space), says("Accepted", "True"))
                if kind in ("Backend", "GatewayExtension"):
                    assert set(found) == {"conditions"}, kind
                    assert [one["type"] for one in found["conditions"]] == ["Accepted"], kind
                    continue
                assert set(found) == {"ancestors"}, kind
                (entry,) = found["ancestors"]
                assert entry["controllerName"] == CONTROLLER, kind
                assert {one["type"]: one["status"] for one in entry["conditions"]} == {"Accepted": "True", "Attached": "True"}, kind
                of = ("", "Service", "a") if kind == "BackendConfigPolicy" else (API, "Gateway", "gw")
                ref = entry["ancestorRef"]
                assert (ref.get("group", API), ref["kind"], ref["name"], ref["namespace"]) == (*of, space), kind
            written = await settled(plane)
            for kind, spec in SPECS.items():
                labelled = made(kind, space, **spec)
                labelled["metadata"]["labels"] = {"a": "b"}
                await plane.stage.put(labelled)
            assert await settled(plane) == written
        async with plane.writing():
            assert await settled(plane) == written
    assert plane.cluster.refused == []


async def test_what_is_wrong_is_named_and_what_is_mended_is_told(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.up():
        await all_up(plane)
        for kind, (spec, words) in WRONG.items():
            await shown(plane, made(kind, space), says("Accepted", "True"))
            await plane.stage.put(made(kind, space, **spec))
            (one,) = conditions(await shown(plane, made(kind, space), says("Accepted", "False", words)))
            assert (one["reason"], one["observedGeneration"]) == ("Invalid", 2)
            await plane.stage.put(made(kind, space, **SPECS[kind]))
            (one,) = conditions(await shown(plane, made(kind, space), says("Accepted", "True")))
            assert one["observedGeneration"] == 3
    assert plane.cluster.refused == []


async def test_other_controllers_ancestors_stay_and_there_are_sixteen_at_most(plane: Plane) -> None:
    space = plane.stage.namespace
    theirs = [
        {"ancestorRef": {"name": f"theirs-{number}"}, "controllerName": "example.com/other", "conditions": [_NAMED]}
        for number in range(_MOST - 1)
    ]
    named = [kind for kind in SPECS if kind not in ("Backend", "GatewayExtension")]
    async with plane.up():
        await all_up(plane)
        for kind in named:
            await shown(plane, made(kind, space), says("Accepted", "True"))
            await plane.stage.api.replace_status(made(kind, space), {"ancestors": theirs})
        for kind in named:
            found = await shown(plane, made(kind, space), says("Accepted", "True"))
            assert [one["controllerName"] for one in found["ancestors"]] == ["example.com/other"] * (_MOST - 1) + [CONTROLLER]
        # With a second Gateway, and a second Service, there would be one too many.
        await plane.stage.put(gateway(space, "more"))
        await plane.stage.put(service(space, "more"))
        for kind in named:
            spec = dict(SPECS[kind])
            if "targetRefs" in spec:
                spec["targetRefs"] = [*spec["targetRefs"], {**spec["targetRefs"][0], "name": "more"}]
                await plane.stage.put(made(kind, space, **spec))
                found = await shown(plane, made(kind, space), lambda one: generations(one) == {2})
                assert len(found["ancestors"]) == _MOST, kind
                assert [one["controllerName"] for one in found["ancestors"]].count("example.com/other") == _MOST - 1
        await plane.stage.delete(gateway(space))
        await shown(plane, made("TrafficPolicy", space), says("Attached", "False", "gw does not exist"))
        found = await shown(plane, made("DirectResponse", space), lambda one: not conditions(one))
        assert [one["controllerName"] for one in found["ancestors"]] == ["example.com/other"] * (_MOST - 1)
    assert plane.cluster.refused == []


async def test_a_condition_that_kgateway_wrote_is_left_to_it(plane: Plane) -> None:
    """Beside kgateway: it tells of every Backend, in words of its own."""
    space = plane.stage.namespace
    theirs = {"conditions": [{**_NAMED, "message": "Backend accepted"}]}
    kinds = ("Backend", "GatewayExtension")
    for kind in kinds:
        await plane.stage.put(made(kind, space, **SPECS[kind]))
        await plane.stage.api.replace_status(made(kind, space), theirs)
    async with plane.up():
        await all_up(plane)
        await settled(plane)
        for kind in kinds:
            assert (await plane.stage.api.get(made(kind, space)))["status"] == theirs
            await plane.stage.api.replace_status(made(kind, space), None)
            await shown(plane, made(kind, space), says("Accepted", "True", "is served"))
        # It comes back, and writes over ours: so be it, and none answers the other.
        for kind in kinds:
            await plane.stage.api.replace_status(made(kind, space), theirs)
        written = await settled(plane)
        await plane.stage.put(made("Backend", space, **WRONG["Backend"][0]))
        assert await settled(plane) == written
        for kind in kinds:
            assert (await plane.stage.api.get(made(kind, space)))["status"] == theirs
    assert plane.cluster.refused == []
