"""Services of several clusters: what an update of one costs, and what no cluster can say of another."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import Admitted, ChangeSet, Delete, Put, Refused, SyncBegin, SyncEnd
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind, Update
from tests.property.test_imports import KEY, described, export, in_cluster, told
from tests.support.manifests import TIME, endpoints, gateway, put, route, service

_GROUP = "multicluster.x-k8s.io"
_IMPORT = {"group": _GROUP, "kind": "ServiceImport", "name": "s", "port": 80}


def _engine() -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    own = [gateway(), route("r", rules=[{"backendRefs": [_IMPORT]}])]
    of_east = [in_cluster(one, "east") for one in (service(), export(), endpoints("s", "127.0.0.2"))]
    for number, change in enumerate([*own, *of_east]):
        told(engine, number, change)
    return engine


def _kinds(update: Update) -> list[FragmentKind]:
    return [one.key.kind for one in update.fragments.set.values()]


def test_endpoints_of_another_cluster_change_one_assignment() -> None:
    engine = _engine()
    update = told(engine, 9, in_cluster(endpoints("s", "127.0.0.3"), "east"))
    assert _kinds(update) == [FragmentKind.ENDPOINTS]
    assert not update.fragments.removed


def test_an_export_more_leaves_the_routes_alone() -> None:
    engine = _engine()
    for number, change in enumerate((service(), export(), endpoints("s", "127.0.0.1")), 9):
        update = told(engine, number, change)
        assert set(_kinds(update)) <= {FragmentKind.ENDPOINTS, FragmentKind.CLUSTER}
    node = engine.everything().nodes.set["import/default/s"]
    assert node["clusters"] == ["east", "local"]


def test_endpoints_of_the_own_cluster_go_first() -> None:
    engine = _engine()
    for number, change in enumerate((service(), export(), endpoints("s", "127.0.0.9")), 9):
        told(engine, number, change)
    nodes = engine.everything().nodes.set
    shown = next(value for key, value in nodes.items() if key.startswith("backend/"))["endpoints"]
    assert [(one["address"], one.get("priority", 0)) for one in shown] == [("127.0.0.9", 0), ("127.0.0.2", 1)]


def test_an_address_of_two_clusters_is_the_nearer_ones() -> None:
    engine = _engine()
    for number, change in enumerate((service(), export(), endpoints("s", "127.0.0.2")), 9):
        told(engine, number, change)
    nodes = engine.everything().nodes.set
    shown = next(value for key, value in nodes.items() if key.startswith("backend/"))["endpoints"]
    assert [(one["address"], one.get("priority", 0)) for one in shown] == [("127.0.0.2", 0)]


def _of_many(number: int) -> Engine:
    """With so many clusters that export, each described by a Cluster object, in three regions."""
    engine = Engine(Sealer(bytes(KEY_BYTES)), EngineSettings(configuration_cluster="local"))
    changes = [gateway(), route("r", rules=[{"backendRefs": [_IMPORT]}])]
    for one in range(number):
        name = f"c{one}"
        changes.append(described(name, region=f"r{one % 3}"))
        changes += [in_cluster(of, name) for of in (service(), export(), endpoints("s", f"127.0.1.{one}"))]
    for offset, change in enumerate(changes):
        told(engine, offset, change)
    return engine


@pytest.mark.parametrize("change", [in_cluster(endpoints("s", "127.0.0.9"), "c1"), described("c1", region="r9"), described("c1", region="r1", publicKeys=[KEY])])  # fmt: skip
def test_what_changes_in_one_cluster_costs_the_same_however_many_export(change: Put) -> None:
    """Reruns, and what they put out; what is no matter of requests in a Cluster stops at its locality."""
    work = []
    for number in (2, 20):
        engine = _of_many(number)
        before = engine.graph.work.reruns
        update = told(engine, 200, change)
        work.append((engine.graph.work.reruns - before, sorted(_kinds(update))))
    assert work[0] == work[1]
    assert work[0][1] == ([] if "publicKeys" in str(change.object) else [FragmentKind.ENDPOINTS])


def test_regions_put_what_is_near_before_the_rest() -> None:
    engine = _of_many(6)
    told(engine, 200, described("local", region="r1"))
    nodes = engine.everything().nodes.set
    shown = next(value for key, value in nodes.items() if key.startswith("backend/"))["endpoints"]
    assert [(one["cluster"], one["region"]) for one in shown if not one.get("priority")] == [("c1", "r1"), ("c4", "r1")]
    assert {one["priority"] for one in shown if one["region"] != "r1"} == {1}


def test_an_export_that_was_never_right_says_so() -> None:
    engine = _engine()
    told(engine, 9, put(_GROUP, "v1beta1", "ServiceExport", "s", {"spec": {"exportedLabels": 5}}))
    told_ = engine.everything().statuses.set[f"local/{_GROUP}/ServiceExport/default/s"]["status"]["conditions"]
    assert [(one["type"], one["status"], one["reason"]) for one in told_] == [
        ("Valid", "False", "Invalid"),
        ("Ready", "False", "Invalid"),
    ]


_EXPORT = in_cluster(export(), "east")


@pytest.mark.parametrize("change", [Delete(_EXPORT.ref), Delete(_EXPORT.ref, was_read=True), in_cluster(service("s", 2, port=81), "east"), in_cluster(gateway("new"), "east")])  # fmt: skip
@pytest.mark.parametrize("syncing", [False, True])
def test_no_cluster_says_anything_of_anothers_objects(change: Put | Delete, syncing: bool) -> None:  # noqa: FBT001
    """It is ignored, and said aloud, whether it lists or watches."""
    engine = _engine()
    before = engine.everything()
    number = 9
    if syncing:
        engine.apply(_said("west", SyncBegin(), number=number), number)
    update = told(engine, number + 1, change, cluster="west")
    assert update.warnings == (f"cluster west cannot say anything of {change.ref}: ignored",)
    if syncing:
        engine.apply(_said("west", SyncEnd(), number=number + 2), number + 2)
    _same(engine.everything(), before)


@pytest.mark.parametrize(
    "changes",
    [
        (SyncBegin(),),
        (SyncBegin(), SyncEnd()),
        (Admitted("all.yaml"),),
        (Refused("all.yaml", None, "no"), Admitted("all.yaml")),
    ],
)
def test_no_cluster_says_anything_of_anothers_source(changes: tuple[Any, ...]) -> None:
    """A listing, and what a source could not read, are its own cluster's: another's stays as it was."""
    engine = _engine()
    engine.apply(_said("east", Refused("all.yaml", _EXPORT.ref, "cannot be read"), number=9), 9)
    before = engine.everything()
    for number, change in enumerate(changes, 10):
        engine.apply(_said("west", change, number=number), number)
    _same(engine.everything(), before)


def test_no_cluster_refuses_anothers_object() -> None:
    """A refusal names an object: of another cluster it must not stand against it."""
    engine = _engine()
    before = engine.everything()
    update = engine.apply(_said("west", Refused("all.yaml", _EXPORT.ref, "cannot be read"), number=9), 9)
    assert update.warnings == (f"cluster west cannot say anything of {_EXPORT.ref}: ignored",)
    _same(engine.everything(), before)


def _said(cluster: str, change: Any, *, number: int) -> ChangeSet:
    return ChangeSet("default", cluster, "files", str(number), TIME, "test", (change,))


def _same(one: Update, other: Update) -> None:
    assert one.fragments == other.fragments
    assert one.nodes == other.nodes
    assert {key: one.statuses.set[key]["status"] for key in one.statuses.set} == {
        key: other.statuses.set[key]["status"] for key in other.statuses.set
    }


def test_a_gateway_that_two_clusters_name_is_the_older_ones() -> None:
    """Envoy takes one address for one endpoint: which of two is asked there must not be left to it."""
    engine = _of_many(3)
    for number, (name, created) in enumerate((("c1", "2026-02-02"), ("c2", "2026-02-01")), 200):
        one = described(name, **_AWAY)
        aged = {**one.object, "metadata": {**one.object["metadata"], "creationTimestamp": f"{created}T00:00:00Z"}}
        told(engine, number, Put(one.ref, aged))
    assert _ways(engine) == ["c2"]
    assert _told_of(engine, "c1") == ("False", "AddressInUse")
    assert _told_of(engine, "c2") == ("True", "Accepted")
    told(engine, 202, described("c2", network="n2"))
    assert _ways(engine) == ["c1"]
    assert _told_of(engine, "c1") == ("True", "Accepted")


def _ways(engine: Engine) -> list[str]:
    nodes = engine.everything().nodes.set
    shown = next(value for key, value in nodes.items() if key.startswith("backend/"))["endpoints"]
    return [one["cluster"] for one in shown if one["address"] == "192.0.2.7"]


def _told_of(engine: Engine, name: str) -> tuple[str, str]:
    said = engine.everything().statuses.set[f"local/penstock.dev/Cluster//{name}"]["status"]["conditions"]
    return next((one["status"], one["reason"]) for one in said if one["type"] == "RemoteGateway")


_AWAY = {"network": "n2", "remoteGateway": {"address": "192.0.2.7", "port": 15443}}
_TLS = put("gateway.kgateway.dev", "v1alpha1", "BackendConfigPolicy", "p", {"spec": {"targetRefs": [{"group": _GROUP, "kind": "ServiceImport", "name": "s"}], "tls": {"wellKnownCACertificates": "System", "sni": "a"}}})  # fmt: skip


def _assigned(engine: Engine) -> list[tuple[str, int, int]]:
    nodes = engine.everything().nodes.set
    shown = next(value for key, value in nodes.items() if key.startswith("backend/"))["endpoints"]
    return sorted((one["address"], one.get("weight", 1), one.get("priority", 0)) for one in shown)


def test_another_network_is_its_gateway_with_the_weight_of_its_endpoints_but_never_in_clear() -> None:
    """Who wants TLS to the backend would have it asked in clear behind the gateway: it is not asked there at all."""
    engine = _of_many(2)
    told(engine, 200, described("c1", **_AWAY))
    told(engine, 201, in_cluster(endpoints("s", "127.0.0.5", "127.0.0.6"), "c1"))
    assert _assigned(engine) == [("127.0.1.0", 1, 0), ("192.0.2.7", 2, 0)]
    told(engine, 202, _TLS)
    assert _assigned(engine) == [("127.0.1.0", 1, 0)]
    told(engine, 203, Delete(_TLS.ref))
    told(engine, 204, described("c1", network="n2"))
    assert _assigned(engine) == [("127.0.1.0", 1, 0)]


_BACKEND_TLS = put("gateway.networking.k8s.io", "v1", "BackendTLSPolicy", "p", {"spec": {"targetRefs": [{"group": _GROUP, "kind": "ServiceImport", "name": "s"}], "validation": {"hostname": "a.example", "wellKnownCACertificates": "System"}}})  # fmt: skip


def _ending(*addresses: str) -> Put:
    slice_ = endpoints("s", *addresses)
    conditions = {"ready": False, "serving": True, "terminating": True}
    ends = [{**one, "conditions": conditions} for one in slice_.object["endpoints"]]
    return Put(slice_.ref, {**slice_.object, "endpoints": ends})


@pytest.mark.parametrize("policy", [_TLS, _BACKEND_TLS])
def test_what_ends_still_serves_where_all_that_is_ready_is_behind_a_gateway_that_cannot_be_asked(policy: Put) -> None:
    """A roll-out of the own cluster's pods: they were left out for those of another network, which were left out, too.

    It costs as much of many clusters as of a few.
    """
    work = []
    for number in (2, 20):
        engine = _of_many(number)
        for offset in range(number):
            address = {"address": f"192.0.2.{offset}", "port": 15443}
            told(engine, 100 + offset, described(f"c{offset}", network="n2", remoteGateway=address))
        for offset, change in enumerate((service(), export(), _ending("127.0.0.5"))):
            told(engine, 200 + offset, change)
        assert all(weight == 1 and address.startswith("192.0.2.") for address, weight, _ in _assigned(engine))
        told(engine, 203, policy)
        assert _assigned(engine) == [("127.0.0.5", 1, 0)]
        before = engine.graph.work.reruns
        told(engine, 204, _ending("127.0.0.5", "127.0.0.6"))
        assert _assigned(engine) == [("127.0.0.5", 1, 0), ("127.0.0.6", 1, 0)]
        told(engine, 205, in_cluster(endpoints("s", "127.0.0.7"), "c1"))
        work.append(engine.graph.work.reruns - before)
        told(engine, 206, Delete(policy.ref))
        assert len(_assigned(engine)) == number
    assert work[0] == work[1]


_REMOTE = {"name": "remote", "port": 15443, "protocol": "penstock.dev/RemoteGateway"}


def _set(name: str, gateway_: str = "gw", *listeners: dict[str, Any]) -> Put:
    spec = {"parentRef": {"name": gateway_}, "listeners": list(listeners) or [_REMOTE]}
    return put("gateway.networking.k8s.io", "v1", "ListenerSet", name, {"spec": spec})


def _open(name: str = "gw", *listeners: dict[str, Any], who: str = "Same") -> Put:
    """A Gateway that lets ListenerSets in."""
    made = gateway(name, *listeners)
    spec = {**made.object["spec"], "allowedListeners": {"namespaces": {"from": who}}}
    return Put(made.ref, {**made.object, "spec": spec})


def _let_in(engine: Engine) -> list[str]:
    """Where which names are let in: Gateway/listener~name."""
    keys = [one.key for one in engine.everything().fragments.set.values()]
    chains = [key for key in keys if key.kind is FragmentKind.FILTER_CHAIN and key.name.endswith("clusterset.local")]
    return sorted(f"{key.gateway.name}/{key.name}" for key in chains)


def test_a_remote_gateway_of_a_listener_set_lets_in_what_its_cluster_exports() -> None:
    """It was accepted and programmed, and let nobody in where the Gateway had none of its own."""
    engine = _engine()
    asked = "80.s.default.svc.clusterset.local"
    mine = {**_REMOTE, "name": "mine", "port": 15444}
    said: list[tuple[Put | Delete, list[str]]] = [
        (service(), []),
        (export(), []),
        (_set("set"), []),
        (_open(), [f"gw/default~set~remote~{asked}"]),
        (_open("gw", mine), [f"gw/default~set~remote~{asked}", f"gw/mine~{asked}"]),
        (_open(who="None"), []),
        (_open(), [f"gw/default~set~remote~{asked}"]),
        (_open("other"), [f"gw/default~set~remote~{asked}"]),
        (_set("set", "other"), [f"other/default~set~remote~{asked}"]),
        (_set("set", "other", {"name": "http", "port": 8081, "protocol": "HTTP"}), []),
        (_set("set", "nobody"), []),
        (_set("set"), [f"gw/default~set~remote~{asked}"]),
        (Delete(_set("set").ref), []),
    ]
    for number, (change, names) in enumerate(said, 9):
        told(engine, number, change)
        assert _let_in(engine) == names, change


def test_what_a_listener_set_lets_in_is_its_own_doing_too() -> None:
    engine = _engine()
    for number, change in enumerate((service(), export(), _open(), _set("set")), 9):
        told(engine, number, change)
    found = engine.everything().fragments.set.values()
    chain = next(one for one in found if one.key.name.endswith("clusterset.local"))
    assert _set("set").ref in [ref for ref, _ in chain.provenance]


@pytest.mark.parametrize("change", [_set("set", "gw", {**_REMOTE, "port": 15444}), in_cluster(_set("set"), "west")])
def test_a_remote_gateway_of_a_listener_set_costs_the_same_however_many_clusters_export(change: Put) -> None:
    work = []
    for number in (2, 20):
        engine = _of_many(number)
        for offset, one in enumerate((service(), export(), _open(), _set("set")), 200):
            told(engine, offset, one)
        before = engine.graph.work.reruns
        told(engine, 300, change)
        work.append(engine.graph.work.reruns - before)
    assert work[0] == work[1]
