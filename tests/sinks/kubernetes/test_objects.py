"""What a deployer relies on of a cluster: the same of the twin in memory and, beside it, of an API server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from streams.kubernetes.client import connect
from streams.sinks.kubernetes.client import ApiServerObjects
from streams.sinks.kubernetes.memory import MemoryObjects
from streams.sinks.kubernetes.objects import WATCHED, Listed, NoNamespace, NotServed, Objects, Rejected, Seen, Target
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.conftest import api_server  # noqa: F401  a fixture

_CONFIG, _SERVICE = WATCHED[0], WATCHED[2]
_SECONDS = 240.0


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.kubernetes)])
def kubeconfig(request: pytest.FixtureRequest) -> Path | None:
    """Of the real API server; None for the twin."""
    if request.param == "memory":
        return None
    server: ApiServerProcess = request.getfixturevalue("api_server")
    return server.kubeconfig(server.port)


@pytest.fixture
async def objects(kubeconfig: Path | None) -> AsyncIterator[Objects]:
    if kubeconfig is None:
        yield MemoryObjects()
        return
    async with connect(kubeconfig) as server:
        yield ApiServerObjects(server)


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def config(name: str, **data: str) -> dict[str, Any]:
    labels = {"penstock.dev/domain": name, "penstock.dev/controller": "c"}
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", "labels": labels},
        "data": data,
    }  # fmt: skip


_OWNER = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}


def service(name: str, *ports: int) -> dict[str, Any]:
    given = [{"name": f"p{one}", "port": one, "protocol": "TCP", "targetPort": one} for one in ports]
    metadata = {"name": name, "namespace": "default", "labels": {"penstock.dev/domain": name}}
    spec = {"type": "ClusterIP", "selector": {"a": "b"}, "ports": given}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def test_what_is_not_there_is_not_found(objects: Objects, name: str) -> None:
    assert await objects.find(Target(_CONFIG, "default", name)) is None


async def test_what_is_applied_is_there(objects: Objects, name: str) -> None:
    applied = await objects.apply(config(name, a="1"))
    found = await objects.find(Target(_CONFIG, "default", name))
    assert found is not None
    assert applied["data"] == found["data"] == {"a": "1"}
    assert found["metadata"]["uid"]


async def test_a_field_that_is_applied_no_longer_goes(objects: Objects, name: str) -> None:
    await objects.apply(config(name, a="1", b="2"))
    applied = await objects.apply(config(name, b="3"))
    assert applied["data"] == {"b": "3"}


async def test_items_of_lists_come_and_go(objects: Objects, name: str) -> None:
    await objects.apply(service(name, 1, 2))
    applied = await objects.apply(service(name, 2, 3))
    assert sorted(one["port"] for one in applied["spec"]["ports"]) == [2, 3]


async def test_an_owner_comes_changes_and_goes(objects: Objects, name: str) -> None:
    """One that does not exist is no reason to refuse it."""
    ours, another = ({**_OWNER, "name": one, "uid": str(uuid.uuid4())} for one in ("ours", "another"))
    owned = config(name, a="1")
    for owners in ([{**ours, "controller": True}], [{**another, "controller": True}], []):
        owned["metadata"] = {**owned["metadata"], "ownerReferences": owners}
        if not owners:
            del owned["metadata"]["ownerReferences"]
        applied = await objects.apply(owned)
        assert [one["uid"] for one in applied["metadata"].get("ownerReferences", ())] == [one["uid"] for one in owners]


async def test_a_namespace_that_is_not_there(objects: Objects, name: str) -> None:
    if isinstance(objects, MemoryObjects):
        objects.nowhere.add(name)
    for one in (config(name, a="1"), service(name, 1)):
        with pytest.raises(NoNamespace, match=f'namespaces "{name}" not found'):
            await objects.apply({**one, "metadata": {**one["metadata"], "namespace": name}})


async def test_applying_the_same_again_changes_nothing(objects: Objects, name: str) -> None:
    one = await objects.apply(service(name, 1))
    other = await objects.apply(service(name, 1))
    assert one["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"]


async def test_only_the_object_that_was_seen_is_removed(objects: Objects, name: str) -> None:
    applied = await objects.apply(config(name, a="1"))
    metadata = {**applied["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}
    await objects.remove({**applied, "metadata": metadata})
    assert await objects.find(Target(_CONFIG, "default", name)) is not None
    await objects.remove(applied)
    assert await objects.find(Target(_CONFIG, "default", name)) is None
    await objects.remove(applied)


async def test_labelled_objects_are_followed(objects: Objects, name: str) -> None:
    """Those that have all of the labels; those that lose one are gone."""
    await objects.apply(config(name, a="1"))
    half = config(f"{name}-half", a="1")
    del half["metadata"]["labels"]["penstock.dev/controller"]
    await objects.apply(half)
    selector = f"penstock.dev/domain={name},penstock.dev/controller=c"
    async with asyncio.timeout(_SECONDS), aclosing(objects.follow(_CONFIG, selector)) as events:  # type: ignore[type-var]
        first = await anext(events)
        assert isinstance(first, Listed)
        assert [(one["kind"], one["metadata"]["name"]) for one in first.objects] == [("ConfigMap", name)]
        await objects.apply(config(f"{name}-other", a="1"))
        await objects.apply(config(name, a="2"))
        second = await anext(events)
        assert isinstance(second, Seen)
        assert (second.object["kind"], second.object["data"], second.is_gone) == ("ConfigMap", {"a": "2"}, False)
        unlabelled = config(name, a="2")
        del unlabelled["metadata"]["labels"]["penstock.dev/controller"]
        await objects.apply(unlabelled)
        third = await anext(events)
        assert isinstance(third, Seen)
        assert third.is_gone


async def test_what_cannot_be_is_rejected_with_words(objects: Objects, name: str) -> None:
    if isinstance(objects, MemoryObjects):
        objects.refused[Target(_SERVICE, "default", name)] = "spec.ports: Required value"
    with pytest.raises(Rejected, match=r"spec\.ports"):
        await objects.apply(service(name))


_ODD: dict[str, dict[str, Any]] = {
    "unknown": {"nope": 1}, "type": {"replicas": "many"}, "doubled": {"template": {"spec": {"containers": [{"name": "c"}] * 2}}},
    "large": {"template": {"metadata": {"annotations": {"a": "x" * 4_000_000}}}},
}  # fmt: skip


@pytest.mark.kubernetes
@pytest.mark.parametrize("odd", _ODD)
async def test_what_fits_no_schema_is_this_objects_fault(api_server: ApiServerProcess, name: str, odd: str) -> None:  # noqa: F811
    """An API server says 500 or 413 to it, which is no reason to keep all others waiting."""
    manifest = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"}, "spec": _ODD[odd],
    }  # fmt: skip
    async with connect(api_server.kubeconfig(api_server.port)) as server:
        with pytest.raises(Rejected, match=r"typed patch|too large"):
            await ApiServerObjects(server).apply(manifest)


async def test_a_kind_that_is_not_served(objects: Objects, name: str) -> None:
    if isinstance(objects, MemoryObjects):
        objects.unserved.add("VerticalPodAutoscaler")
    async with aclosing(objects.follow(WATCHED[-1], "a=b")) as events:  # type: ignore[type-var]
        with pytest.raises(NotServed):
            await anext(events)


