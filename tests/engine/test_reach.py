"""Clusters that cannot be reached: who may say so, what is told, what becomes of what they export, and when."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import Change, ChangeSet, Delete, Pin, Put, Reachable, Tick, Unreachable
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind, Update
from tests.property.test_imports import export, in_cluster, told
from tests.support.manifests import endpoints, gateway, put, route, service

_IMPORT = {"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "s", "port": 80}
_SETTINGS = EngineSettings(configuration_cluster="local")
_SINCE, _THEN, _LATER = (f"2026-11-24T12:{minute}:00.000Z" for minute in ("00", "09", "10"))


def described(name: str, action: str = "Keep", *, cluster: str = "local", **more: str) -> Put:
    """A Cluster object, as the configuration cluster has it."""
    spec = {"whenUnreachable": {"action": action, **more}}
    one = put("penstock.dev", "v1alpha1", "Cluster", name, {"spec": spec})
    return replace(one, ref=one.ref._replace(cluster=cluster, namespace=""))


def say(engine: Engine, number: int, cluster: str, change: Change, at: str = _SINCE) -> Update:
    """One change that is about no object, of a cluster's watcher or, without a cluster, of the clock."""
    source = "files" if cluster else "clock"
    return engine.apply(ChangeSet("default", cluster, source, str(number), at, "test", (change,)), number)


def _engine(*more: Put) -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)), _SETTINGS)
    own = [gateway(), route("r", rules=[{"backendRefs": [_IMPORT]}]), *more]
    of_east = [in_cluster(one, "east") for one in (service(), export(), endpoints("s", "127.0.0.2"))]
    of_west = [in_cluster(one, "west") for one in (service(), export(), endpoints("s", "127.0.0.3"))]
    for number, change in enumerate([*own, *of_east, *of_west]):
        assert not told(engine, number, change).warnings
    return engine


def _endpoints(engine: Engine) -> list[tuple[str, int]]:
    nodes = engine.everything().nodes.set
    shown = next(value for key, value in nodes.items() if key.startswith("backend/"))["endpoints"]
    return [(one["address"], one.get("priority", 0)) for one in shown]


def _reachable(update: Update, name: str = "east") -> tuple[str, str]:
    conditions = update.statuses.set[f"local/penstock.dev/Cluster//{name}"]["status"]["conditions"]
    return next((one["status"], one["message"]) for one in conditions if one["type"] == "Reachable")


_BOTH = [("127.0.0.2", 0), ("127.0.0.3", 0)]


@pytest.mark.parametrize("more", [(), (described("east"),)])
def test_what_cannot_be_reached_is_kept(more: tuple[Put, ...]) -> None:
    """With the policy Keep, and where nothing describes the cluster."""
    engine = _engine(*more)
    update = say(engine, 20, "east", Unreachable(_SINCE))
    assert not update.fragments.set
    assert not update.fragments.removed
    assert update.wake_at is None
    assert _endpoints(engine) == _BOTH
    assert engine.state()["stale/east"]["since"] == _SINCE


def test_since_when_it_is_stale_stands_in_its_status() -> None:
    engine = _engine(described("east"))
    assert _reachable(engine.everything()) == ("True", "nobody says otherwise")
    told_ = _reachable(say(engine, 20, "east", Unreachable(_SINCE)))
    assert told_ == ("False", f"stale since {_SINCE}: its API server does not answer; its last state is served")
    again = say(engine, 21, "east", Unreachable(_THEN), _THEN)
    assert not again.statuses.set, "the first time counts"
    assert _reachable(say(engine, 22, "east", Reachable(), _LATER))[0] == "True"
    assert "stale/east" not in engine.state()


def test_a_drained_cluster_is_used_where_no_other_has_any() -> None:
    engine = _engine(described("east", "Drain"))
    update = say(engine, 20, "east", Unreachable(_SINCE))
    assert [one.key.kind for one in update.fragments.set.values()] == [FragmentKind.ENDPOINTS]
    assert _endpoints(engine) == [("127.0.0.3", 0), ("127.0.0.2", 1)]
    told(engine, 21, Delete(in_cluster(endpoints("s"), "west").ref))
    assert _endpoints(engine) == [("127.0.0.2", 0)]
    say(engine, 22, "east", Reachable())
    told(engine, 23, in_cluster(endpoints("s", "127.0.0.3"), "west"))
    assert _endpoints(engine) == _BOTH


def test_a_dropped_cluster_is_not_used() -> None:
    engine = _engine(described("east", "Drop"))
    say(engine, 20, "east", Unreachable(_SINCE))
    assert _endpoints(engine) == [("127.0.0.3", 0)]
    assert "is not used" in _reachable(engine.everything())[1]


def test_something_becomes_of_it_after_a_time_that_ticks_let_pass() -> None:
    engine = _engine(described("east", "Drop", after="10m"))
    update = say(engine, 20, "east", Unreachable(_SINCE))
    assert update.wake_at == _LATER
    assert _endpoints(engine) == _BOTH
    assert _reachable(update)[1].endswith(f"its last state is served until {_LATER}")
    say(engine, 21, "", Tick(), _THEN)
    assert _endpoints(engine) == _BOTH
    update = say(engine, 22, "", Tick(), _LATER)
    assert [one.key.kind for one in update.fragments.set.values()] == [FragmentKind.ENDPOINTS]
    assert _endpoints(engine) == [("127.0.0.3", 0)]
    loaded = Engine(Sealer(bytes(KEY_BYTES)), _SETTINGS)
    loaded.load(engine.state().items())
    assert _endpoints(loaded) == _endpoints(engine)
    say(engine, 23, "east", Reachable(), _LATER)
    assert _endpoints(engine) == _BOTH


def test_a_cluster_goes_on_using_its_own() -> None:
    """Whoever cannot reach its API server may be the only one: its proxies reach its pods."""
    engine = _engine(described("local", "Drop"))
    for number, one in enumerate((service(), export(), endpoints("s", "127.0.0.9")), 10):
        told(engine, number, one)
    say(engine, 20, "local", Unreachable(_SINCE))
    assert _endpoints(engine)[0] == ("127.0.0.9", 0)


@pytest.mark.parametrize("change", [Unreachable(_SINCE), Reachable()])
@pytest.mark.parametrize("source", ["control", "publisher", "clock", ""])
def test_only_a_watcher_says_it(change: Change, source: str) -> None:
    engine = _engine(described("east", "Drop"))
    if isinstance(change, Reachable):
        say(engine, 20, "east", Unreachable(_SINCE))
    before = _endpoints(engine)
    update = engine.apply(ChangeSet("default", "east", source, "21", _SINCE, "test", (change,)), 21)
    assert update.warnings == (f"source {source} cannot say whether cluster east is reachable: ignored",)
    assert _endpoints(engine) == before


def test_no_cluster_describes_itself() -> None:
    """A Cluster object counts from the configuration cluster only: west cannot have east dropped."""
    engine = _engine(described("east", "Drop", cluster="west"), described("east", "Drop", cluster="east"))
    say(engine, 20, "east", Unreachable(_SINCE))
    assert _endpoints(engine) == _BOTH


def test_at_once_needs_no_tick() -> None:
    engine = _engine(described("east", "Drop"))
    assert say(engine, 20, "east", Unreachable(_SINCE)).wake_at is None


def test_a_clock_at_the_end_of_the_calendar_harms_nobody() -> None:
    """Nothing becomes of the cluster, and endpoints go on to be followed."""
    engine = _engine(described("east", "Drop", after="99999h"))
    update = say(engine, 20, "east", Unreachable(_SINCE), "9999-12-31T23:59:59.000Z")
    assert not update.warnings
    update = say(engine, 21, "west", Unreachable("9999-12-31T23:59:59.000Z"), "9999-12-31T23:59:59.000Z")
    told(engine, 22, described("west", "Drop", after="99999h"))
    assert not told(engine, 23, Delete(in_cluster(endpoints("s"), "east").ref)).warnings
    assert _endpoints(engine) == [("127.0.0.3", 0)]


@pytest.mark.parametrize("zone", ["UTC0", "EST5"])
def test_a_time_without_a_zone_is_not_the_machines(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        engine = _engine()
        say(engine, 20, "east", Unreachable("2026-11-24T01:00:00"))
        assert engine.state()["stale/east"]["since"] == _SINCE
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("action", ["Keep", "Drain", "Drop"])
def test_a_fork_that_loses_a_cluster_leaves_the_rest_as_it_is(action: str) -> None:
    engine, twin = _engine(described("east", action)), _engine(described("east", action))
    fork = engine.fork()
    forked, applied = (say(one, 20, "east", Unreachable(_SINCE)) for one in (fork, twin))
    assert (forked.fragments, forked.statuses) == (applied.fragments, applied.statuses)
    assert _endpoints(engine) == _BOTH
    assert "stale/east" not in engine.state()


def test_a_pinned_gateway_uses_no_dropped_cluster_whichever_was_first() -> None:
    """Of endpoints today's count, for those that are served from the past, too."""
    found = []
    gate = Ref("local", "gateway.networking.k8s.io", "Gateway", "default", "gw")
    lost = ChangeSet("default", "east", "files", "lost", _SINCE, "test", (Unreachable(_SINCE),))
    pinned = ChangeSet("default", "local", "control", "pin", _SINCE, "test", (Pin("p", gate, 19, "for a test"),))
    for order in ((lost, pinned), (pinned, lost)):
        engine = _engine(described("east", "Drop"))
        for number, one in enumerate(order, 20):
            assert not engine.apply(one, number).warnings
        found.append(_endpoints(engine))
    assert found == [[("127.0.0.3", 0)]] * 2


@pytest.mark.parametrize("since", ["", "yesterday", "2999-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_is_the_change_sets(since: str) -> None:
    engine = _engine()
    say(engine, 20, "east", Unreachable(since))
    assert engine.state()["stale/east"]["since"] == _SINCE


def test_what_does_not_import_from_it_is_not_asked() -> None:
    """One cluster of many is lost: what reruns is what reads that cluster."""
    found = []
    for others in (1, 30):
        engine = _engine(described("east", "Drop"), *(described(f"c{number}") for number in range(others)))
        extra: list[Any] = [in_cluster(one, f"c{number}") for number in range(others) for one in (service("t"), endpoints("t", "127.0.0.4"))]  # fmt: skip
        for number, one in enumerate(extra, 100):
            told(engine, number, one)
        before = engine.graph.work.reruns
        say(engine, 1000, "east", Unreachable(_SINCE))
        found.append(engine.graph.work.reruns - before)
    assert found[0] == found[1]
