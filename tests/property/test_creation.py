"""Of every field of every policy, at every place: who was created first counts, whoever came first; who goes leaves nothing.

Fields, their values and the rules that they must fit are those of the CRDs: a new one is tried without an edit here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import Change, Put
from engine.models.admission import Refusal, admit
from engine.models.policy import GROUP
from engine.policies.features import FEATURES
from engine.seal import KEY_BYTES, Sealer
from tests.fuzz.drawing import Drawing
from tests.fuzz.world import VERSION, specs, standing
from tests.property.test_incremental import _picture
from tests.support.manifests import API, change_set, delete, gateway, put, route

_OLD, _YOUNG = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
_LABELS: Final = {"app": "shop"}
_TRIES: Final = 200


def _named(kind: str, name: str, section: str = "", group: str = API) -> dict[str, Any]:
    return {"targetRefs": [{"group": group, "kind": kind, "name": name, **({"sectionName": section} if section else {})}]}


def _chosen(kind: str, group: str = API) -> dict[str, Any]:
    return {"targetSelectors": [{"group": group, "kind": kind, "matchLabels": _LABELS}]}


_PLACES: Final = {
    "TrafficPolicy": (
        _named("Gateway", "gw"), _named("Gateway", "gw", "http18080"), _named("ListenerSet", "set"), _named("ListenerSet", "set", "own"),
        _named("HTTPRoute", "r0"), _named("HTTPRoute", "r0", "one"), _named("HTTPRoute", "child"), _named("GRPCRoute", "g"),
        _named("GRPCRoute", "g", "one"), _chosen("HTTPRoute"), _chosen("Gateway"),
    ),
    "ListenerPolicy": (_named("Gateway", "gw1"), _named("Gateway", "gw1", "http18080"), _chosen("Gateway")),
    "HTTPListenerPolicy": (_named("Gateway", "gw1"), _chosen("Gateway")),
    "BackendConfigPolicy": (_named("Service", "b0", group=""), _named("Backend", "x0", group=GROUP), _chosen("Service", "")),
}  # fmt: skip
_ATTACHING: Final = {"targetRefs", "targetSelectors"}
_MERGING: Final = EngineSettings().deep_merges


def _adds_a_unit(field: str, older: Put, younger: Put) -> bool:
    """Whether the younger says a unit of a field that is in force by itself, such as rateLimit.global, and the older not."""
    units = {one.removeprefix(f"{field}.") for one in FEATURES if one.startswith(f"{field}.")}
    said = [units & (one.object["spec"].get(field) or {}).keys() for one in (older, younger)] if units else [units, units]
    return bool(said[1] - said[0])


def _fields() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Kinds, and in which block of the spec which field stands."""
    for kind in _PLACES:
        schema = specs()[kind]
        for name in sorted(schema["properties"].keys() - _ATTACHING - {"perPort"}):
            within = schema["properties"][name]["properties"] if name == "default" else {}
            deeper = within.get("httpSettings", {}).get("properties", {})
            yield from ((kind, (name, "httpSettings", one)) for one in sorted(deeper))
            yield from ((kind, (name, one)) for one in sorted(within.keys() - {"httpSettings"}))
            if not within:
                yield kind, (name,)


def _world() -> list[Put]:
    rule = {"name": "one", "backendRefs": [{"name": "s0", "port": 80}]}
    delegates = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/child"}}],
        "backendRefs": [{"group": API, "kind": "HTTPRoute", "name": "child"}],
    }
    own = {"name": "own", "port": 18081, "protocol": "HTTP", "hostname": "set.example.com"}
    lets_in = {"allowedListeners": {"namespaces": {"from": "Same"}}}
    found = standing(1, _SEALER)
    gateways = [one for one in found if one.ref.kind == "Gateway"]
    for one in gateways:
        one.object["spec"] |= lets_in
    for one in (*gateways[:2], *(each for each in found if each.ref.name in ("b0", "r0"))):
        one.object["metadata"]["labels"] = _LABELS
    backend = {"type": "Static", "static": {"hosts": [{"host": "127.0.0.1", "port": 9000}]}}
    return [
        *found,
        put(GROUP, VERSION, "Backend", "x0", {"spec": backend}),
        put(API, "v1", "ListenerSet", "set", {"spec": {"parentRef": {"name": "gw"}, "listeners": [own]}}),
        put(API, "v1", "GRPCRoute", "g", {"spec": {"parentRefs": [{"name": "gw"}], "rules": [rule]}}),
        route("in-set", "s1", parentRefs=[{"kind": "ListenerSet", "name": "set"}]),
        route("parent", rules=[delegates]),
        route("child", "s1", "/child", parentRefs=[{"group": API, "kind": "HTTPRoute", "name": "parent"}]),
        gateway("apart", {"name": "http", "port": 18099, "protocol": "HTTP"}),
    ]


_SEALER: Final = Sealer(bytes(KEY_BYTES))


class _Told:
    """An engine, and what comes of it."""

    def __init__(self) -> None:
        self.engine = Engine(_SEALER)
        self.number = -1
        self.tell(*_world())

    def tell(self, *changes: Change) -> dict[str, Any]:
        """What is wanted after these changes, one after the other."""
        for one in changes:
            self.number += 1
            assert self.engine.apply(change_set(one, number=self.number), self.number).warnings == ()
        return _picture(self.engine.everything())


@pytest.fixture(scope="module")
def told() -> _Told:
    return _Told()


def _policies(kind: str, path: tuple[str, ...], place: dict[str, Any], chance: random.Random) -> tuple[Put, Put] | None:
    """An older and a younger one, which say different things where they can; None where the field does not go."""
    schema = specs()[kind]
    for name in path:
        schema = schema["properties"][name]
    drawing, found = Drawing(chance), []
    for _ in range(_TRIES):
        value = drawing.value(schema, path[-1], 1)
        for name in reversed(path):
            value = {name: value}
        name, created = (("z", _OLD), ("a", _YOUNG))[len(found)]
        one = put(GROUP, VERSION, kind, name, {"metadata": {"creationTimestamp": created}, "spec": {**place, **value}})
        judged = admit(one.ref, one.object)
        if not isinstance(judged, Refusal) and (not found or one.object["spec"] != found[0].object["spec"]):
            found.append(one)
        if len(found) == 2:  # noqa: PLR2004  both
            return found[0], found[1]
    return (found[0], found[0]) if found else None


@pytest.mark.parametrize(("kind", "path"), list(_fields()), ids=lambda one: one if isinstance(one, str) else ".".join(one))
def test_creation_decides_and_who_goes_leaves_nothing(kind: str, path: tuple[str, ...], told: _Told) -> None:
    chance = random.Random(f"{kind}.{path}")
    bare = told.tell()
    tried = 0
    for place in _PLACES[kind]:
        pair = _policies(kind, path, place, chance)
        if pair is None:
            continue
        tried += 1
        older, younger = pair
        alone = told.tell(older)
        both = told.tell(younger)
        if path[0] not in _MERGING and not _adds_a_unit(path[0], older, younger):
            assert both["fragments"] == alone["fragments"], (place, older.object, younger.object)
        assert told.tell(delete(older), delete(younger)) == bare, (place, older.object)
        assert told.tell(younger, older) == both, (place, older.object, younger.object)
        assert told.tell(delete(younger)) == alone
        assert told.tell(delete(older)) == bare
    assert tried, "no place takes it"
