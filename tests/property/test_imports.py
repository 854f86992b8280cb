"""What clusters export means the same in whatever order they say it, and leaves no trace when it goes."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine, EngineSettings
from engine.events import Change, ChangeSet, Delete, Put, Reachable, Tick, Unreachable
from engine.seal import KEY_BYTES, Sealer
from engine.update import Update
from tests.property.ages import AGES
from tests.support.manifests import TIME, endpoints, gateway, put, route

_GROUP = "multicluster.x-k8s.io"
_SETTINGS = EngineSettings(configuration_cluster="local")
_CLUSTERS = ("local", "east", "west")
_PORTS: tuple[dict[str, Any], ...] = ({}, {"port": 81}, {"name": "other"}, {"appProtocol": "kubernetes.io/h2c"})
_GATEWAY = {"address": "127.0.0.8", "port": 15443}
_REGIONS: tuple[dict[str, Any], ...] = ({}, {"region": "r1"}, {"region": "r2"}, {"region": "r1", "network": "n1"}, {"network": "n1", "remoteGateway": _GATEWAY})
_SELECTIONS = (None, "", "*", "east", "local, west", "west,east", "nowhere,east")
KEY = base64.b64encode(bytes(32)).decode()
"""A public key, as far as anybody can tell who asks it nothing."""
_IMPORT = {"group": _GROUP, "kind": "ServiceImport", "name": "s", "port": 80}


def in_cluster(of: Put, cluster: str) -> Put:
    """The same in another cluster."""
    return Put(of.ref._replace(cluster=cluster), of.object)


def export(created: str = AGES[0], **spec: Any) -> Put:
    """A ServiceExport of the Service s."""
    body = {"metadata": {"creationTimestamp": created}, "spec": spec}
    return put(_GROUP, "v1beta1", "ServiceExport", "s", body)


def described(cluster: str, **spec: Any) -> Put:
    """What the cluster `local`, that of the configuration, says of a cluster."""
    return put("penstock.dev", "v1alpha1", "Cluster", cluster, {"spec": spec})


def told(engine: Engine, number: int, change: Put | Delete, cluster: str = "") -> Update:
    """One change, said by the cluster whose it is, or by another."""
    one = ChangeSet("default", cluster or change.ref.cluster, "files", str(number), TIME, "test", (change,))
    return engine.apply(one, number)


_LISTENERS = (
    {"name": "http", "port": 8080, "protocol": "HTTP"},
    {"name": "remote", "port": 15443, "protocol": "penstock.dev/RemoteGateway"},
)


def placed(clusters: str | None) -> Put:
    """The Gateway, as it selects clusters."""
    made = gateway("gw", *_LISTENERS)
    notes = {"annotations": {"penstock.dev/clusters": clusters}} if clusters is not None else {}
    return Put(made.ref, {**made.object, "metadata": {**made.object["metadata"], **notes}})


def _own() -> list[Put]:
    return [gateway("gw", *_LISTENERS), route("r", rules=[{"backendRefs": [_IMPORT]}])]


def _with_own(puts: list[Put]) -> list[Put]:
    """What is there in any case, as far as it is not there otherwise."""
    known = {one.ref for one in puts}
    return [*(one for one in _own() if one.ref not in known), *puts]


@st.composite
def _puts(draw: Any) -> Put:
    cluster = draw(st.sampled_from(_CLUSTERS))
    kind = draw(st.sampled_from(["export", "export", "service", "endpoints", "described", "placed"]))
    if kind == "placed":
        return in_cluster(placed(draw(st.sampled_from(_SELECTIONS))), cluster)
    if kind == "described":
        return described(cluster, **draw(st.sampled_from(_REGIONS)))
    if kind == "export":
        made = export(draw(st.sampled_from(AGES)), **draw(st.sampled_from([{}, {"exportedLabels": {"a": "b"}}])))
    elif kind == "service":
        spec = {"ports": [{"name": "http", "port": 80, **draw(st.sampled_from(_PORTS))}]}
        made = put("", "v1", "Service", "s", {"spec": spec})
    else:
        made = endpoints("s", *draw(st.lists(st.sampled_from(["127.0.0.1", "127.0.0.2"]), min_size=1, max_size=2)))
    return in_cluster(made, cluster)


def _picture(engine: Engine) -> dict[str, Any]:
    update = engine.everything()
    statuses = {key: {**value, "programmed": sorted(value["programmed"])} for key, value in update.statuses.set.items()}
    fragments = {key: (one.payload, one.version, one.parent) for key, one in update.fragments.set.items()}
    return {"fragments": fragments, "statuses": statuses, "nodes": update.nodes.set, "infra": update.infra.set}


def _engine(changes: list[Put]) -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)), _SETTINGS)
    for number, change in enumerate(changes):
        assert not told(engine, number, change).warnings
    return engine


_EACH_ONCE = st.lists(_puts(), max_size=9, unique_by=lambda one: one.ref)


@settings(max_examples=60)
@given(_EACH_ONCE, st.data())
def test_the_order_of_clusters_does_not_matter(puts: list[Put], data: Any) -> None:
    """Conflicts, ports and endpoints: all are of what there is, not of who said it first."""
    one = _engine(_with_own(puts))
    other = _engine(data.draw(st.permutations(_with_own(puts))))
    assert _picture(one) == _picture(other)
    loaded = Engine(Sealer(bytes(KEY_BYTES)), _SETTINGS)
    loaded.load(one.state().items())
    assert _picture(loaded) == _picture(one)


_DESCRIBED = EngineSettings(configuration_cluster="local")
_UNREACHABLE: tuple[dict[str, str], ...] = ({"action": "Drain"}, {"action": "Drop"}, {"action": "Drop", "after": "5m"})


@st.composite
def _reached(draw: Any) -> tuple[str, str, Change]:
    """A cluster that can be reached no longer, or again, or is described, or time that passes: (cluster, source, change)."""
    cluster = draw(st.sampled_from(_CLUSTERS))
    kind = draw(st.sampled_from(["unreachable", "unreachable", "reachable", "described", "tick"]))
    if kind == "described":
        one = put("penstock.dev", "v1alpha1", "Cluster", cluster, {"spec": {"whenUnreachable": draw(st.sampled_from(_UNREACHABLE))}})
        return "local", "files", Put(one.ref._replace(namespace=""), one.object)
    if kind == "tick":
        return "", "clock", Tick()
    return cluster, "files", Unreachable(TIME) if kind == "unreachable" else Reachable()


@settings(max_examples=60)
@given(_EACH_ONCE, st.lists(_reached(), max_size=8), st.integers(0, 9))
def test_what_became_of_unreachable_clusters_is_built_anew(puts: list[Put], reached: list[Any], minutes: int) -> None:
    """Whatever is kept, drained or dropped by now: an engine that loads the state says the same."""
    engine = Engine(Sealer(bytes(KEY_BYTES)), _DESCRIBED)
    for number, change in enumerate(_with_own(puts)):
        told(engine, number, change)
    for number, (cluster, source, change) in enumerate(reached, 100):
        time = TIME.replace("10:00", f"10:0{minutes}") if isinstance(change, Tick) else TIME
        engine.apply(ChangeSet("default", cluster, source, str(number), time, "test", (change,)), number)
        loaded = Engine(Sealer(bytes(KEY_BYTES)), _DESCRIBED)
        loaded.load(engine.state().items())
        assert _picture(loaded) == _picture(engine)


@settings(max_examples=60)
@given(_EACH_ONCE, _EACH_ONCE)
def test_what_comes_and_goes_leaves_no_trace(puts: list[Put], more: list[Put]) -> None:
    """A cluster that exported something and does no longer."""
    known = {one.ref for one in _with_own(puts)}
    fresh = [one for one in more if one.ref not in known]
    engine = _engine(_with_own(puts))
    wanted = _picture(engine)
    changes: list[Put | Delete] = [*fresh, *(Delete(one.ref) for one in fresh)]
    for number, change in enumerate(changes, 100):
        told(engine, number, change)
    assert _picture(engine) == wanted
