"""The core of the source: what is told, in which groups, of what was seen."""

from __future__ import annotations

from typing import Any

from engine.events import Admitted, Change, Delete, Put, Refused
from engine.models.kinds import KINDS
from engine.outputs.channels import ON_REQUEST
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.kubernetes.cluster import Served, Target
from streams.kubernetes.following import version_of
from streams.sources.kubernetes.mirror import Mirror
from streams.sources.kubernetes.observed import Observed, observe
from streams.sources.logged import Logged
from tests.kubernetes.objects import config_map, route, secret, service

_SEALER = Sealer(bytes(KEY_BYTES))
_WHOLE = tuple(kind for kind in KINDS if (kind.group, kind.name) not in ON_REQUEST)
_LATER = 100.0


class World:
    """A mirror of a cluster that was read, and the log that it writes."""

    def __init__(self, *, is_read: bool = True) -> None:
        self.logged = Logged(synced=True)
        self.mirror = Mirror(self.logged, "c", _WHOLE, _SEALER)
        if is_read:
            for kind in _WHOLE:
                self.mirror.listed(Target(kind.group, kind.name, kind.plural, "v1"), {}, 0.0)
            assert self.told() == []

    def see(self, object_: dict[str, Any], manager: str = "m") -> Ref:
        ref, seen = seen_of(object_, manager)
        self.mirror.seen(ref, seen, 1.0)
        return ref

    def told(self) -> list[tuple[str, list[Change]]]:
        groups = self.mirror.due(_LATER)
        for _, changes in groups:
            self.logged.take(changes)
        self.mirror.written(groups)
        return [(who, list(changes)) for who, changes in groups]


def seen_of(object_: dict[str, Any], manager: str = "m") -> tuple[Ref, Observed]:
    group, _, version = object_["apiVersion"].rpartition("/")
    fields = [{"manager": manager, "time": "2026-11-24T10:00:00Z"}]
    whole = {**object_, "metadata": {**object_["metadata"], "managedFields": fields}}
    return observe(Target(group, object_["kind"], "", version), "c", whole, _SEALER)


def verbs(groups: list[tuple[str, list[Change]]]) -> list[list[str]]:
    return [[f"{type(one).__name__} {one.ref.name}" for one in changes if isinstance(one, Put | Delete)] for _, changes in groups]


def test_what_one_manager_changed_is_one_change_set() -> None:
    world = World()
    for name, manager in (("a", "x"), ("b", "y"), ("c", "x")):
        world.see(config_map("ns", name, "1"), manager)
    told = world.told()
    assert [who for who, _ in told] == ["x at 2026-11-24T10:00:00Z", "y at 2026-11-24T10:00:00Z"]
    assert verbs(told) == [["Put a", "Put c"], ["Put b"]]


def test_nothing_is_told_before_every_kind_was_read() -> None:
    world = World(is_read=False)
    ref, seen = seen_of(service("ns", "a"))
    for kind in _WHOLE:
        assert world.told() == []
        assert kind.name in world.mirror.unread
        found = {ref: seen} if kind.name == "Service" else {}
        world.mirror.listed(Target(kind.group, kind.name, kind.plural, "v1"), found, 0.0)
    assert verbs(world.told()) == [["Put a"]]
    assert world.mirror.next() == float("inf")


def test_what_waits_and_a_new_listing_lacks_is_never_told() -> None:
    world = World()
    world.see(route("ns", "r", "not-there"))
    assert world.mirror.due(1.0) == []
    world.mirror.listed(Target("gateway.networking.k8s.io", "HTTPRoute", "httproutes", "v1"), {}, 1.01)
    assert world.told() == []


def test_a_secret_that_is_seen_though_nobody_asks_any_more_does_not_enter() -> None:
    world = World()
    world.see(secret("ns", "a", "x"))
    assert world.told() == []
    world.mirror.wanted(frozenset({Ref("c", "", "Secret", "ns", "a")}), 1.0)
    world.see(secret("ns", "a", "x"))
    assert verbs(world.told()) == [["Put a"]]
    world.mirror.wanted(frozenset(), 1.0)
    world.see(secret("ns", "a", "y"))
    assert verbs(world.told()) == [["Delete a"]]


def test_what_is_asked_for_and_not_there_is_answered_once_and_forgotten_when_nobody_asks() -> None:
    world, ref = World(), Ref("c", "", "Secret", "ns", "a")
    target = Target("", "Secret", "secrets", "v1", "ns", "a")
    world.mirror.wanted(frozenset({ref}), 1.0)
    assert world.told() == []
    world.mirror.listed(target, {}, 1.0)
    assert world.told() == [("", [Delete(ref, was_read=True)])]
    world.mirror.listed(target, {}, 1.0)
    assert world.told() == []
    world.see(secret("ns", "a", "x"))
    assert verbs(world.told()) == [["Put a"]]
    world.mirror.seen(ref, Observed(), 1.0)
    assert world.told() == [("", [Delete(ref, was_read=True)])]
    world.mirror.wanted(frozenset(), 1.0)
    assert world.told() == [("", [Delete(ref)])]


def test_secrets_stay_until_it_is_known_what_is_asked_for() -> None:
    logged = Logged(synced=True)
    ref, seen = seen_of(secret("ns", "a", "x"))
    assert seen.object is not None
    logged.take([Put(ref, seen.object)])
    mirror = Mirror(logged, "c", _WHOLE, _SEALER)
    for kind in _WHOLE:
        mirror.listed(Target(kind.group, kind.name, kind.plural, "v1"), {}, 0.0)
    assert mirror.due(_LATER) == []


def test_what_cannot_enter_is_refused_once_and_its_last_state_stays() -> None:
    world = World()
    ref = world.see(config_map("ns", "a", "1"))
    world.told()
    for _ in range(2):
        world.see(config_map("ns", "a", "x" * (2 << 20)))
    [(_, changes)] = world.told()
    assert [type(one) for one in changes] == [Refused]
    world.see(config_map("ns", "a", "x" * (2 << 20)))
    assert world.told() == []
    assert ref in world.logged.objects
    world.see(config_map("ns", "a", "2"))
    [(_, changes)] = world.told()
    assert [type(one) for one in changes] == [Admitted, Put]


def test_the_refusal_of_what_went_while_nobody_watched_goes_too() -> None:
    logged = Logged(synced=True, refused={"/ConfigMap/ns/a": "too large", "a.yaml": "of the days of files"})
    mirror = Mirror(logged, "c", _WHOLE, _SEALER)
    for kind in _WHOLE:
        mirror.listed(Target(kind.group, kind.name, kind.plural, "v1"), {}, 0.0)
    [(_, changes)] = mirror.due(_LATER)
    assert changes == [Admitted("/ConfigMap/ns/a")]


def test_the_first_of_our_versions_that_is_served_is_read() -> None:
    kind = next(one for one in KINDS if one.name == "TLSRoute")
    served = {Served(kind.group, version, kind.plural) for version in ("v1alpha2", "v1alpha3")}
    assert version_of(kind, frozenset(served)) == "v1alpha3"
    assert version_of(kind, frozenset()) == "v1"
