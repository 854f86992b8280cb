"""What its model refuses costs only itself: its last good revision is served, and its status says what is wrong."""

from __future__ import annotations

from typing import Any

from engine.engine import Engine
from engine.events import Admitted, Change, Put, Refused
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service

_PATH = "spec.rules[0].matches[0].path"
_KGATEWAY = "gateway.kgateway.dev"


def _engine(*changes: Change) -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    for number, change in enumerate(changes):
        engine.apply(change_set(change, number=number), number)
    _same_after_a_restart(engine)
    return engine


def _same_after_a_restart(engine: Engine) -> None:
    again = Engine(Sealer(bytes(KEY_BYTES)))
    again.load(engine.state().items())
    assert again.everything() == engine.everything()


def _bad_route(generation: int = 2) -> Put:
    return route("a", "s", "relative", generation)


def _conditions(engine: Engine, one: Put) -> dict[str, tuple[str, str, str, int]]:
    found = engine.everything().statuses.set[str(one.ref)]
    parts = found["status"].get("parents") or [found["status"]]
    return {c["type"]: (c["status"], c["reason"], c["message"], c["observedGeneration"]) for c in parts[0]["conditions"]}


def _routes(engine: Engine) -> dict[str, bytes]:
    return {key: one.payload for key, one in engine.everything().fragments.set.items() if "/route/" in key}


_REST = (gateway(), service(), endpoints())


def test_a_refused_revision_leaves_the_last_good_one() -> None:
    wanted = _routes(_engine(*_REST, route("a")))
    engine = _engine(*_REST, route("a"), _bad_route())
    assert _routes(engine) == wanted
    assert _conditions(engine, route("a"))["Accepted"][0] == "True"
    status, reason, message, generation = _conditions(engine, route("a"))["PartiallyInvalid"]
    assert (status, reason, generation) == ("True", "UnsupportedValue", 2)
    assert message.startswith("Fall Back")
    assert _PATH in message


def test_a_refused_revision_is_passed_over_by_the_next() -> None:
    """A second bad revision falls back to the good one before both; a good one ends it."""
    wanted = _routes(_engine(*_REST, route("a")))
    engine = _engine(*_REST, route("a"), _bad_route(2), _bad_route(3))
    assert _routes(engine) == wanted
    engine.apply(change_set(route("a", generation=4), number=9), 9)
    assert _routes(engine) == wanted
    assert "PartiallyInvalid" not in _conditions(engine, route("a"))


def test_a_route_refused_from_the_start_says_so() -> None:
    """To each of its parents that is ours, and to no other."""
    bad = route("a", "s", "relative", parentRefs=[{"name": "gw"}, {"name": "other"}, {"name": "gw", "kind": "Service"}])
    engine = _engine(*_REST, bad, route("b"))
    parents = engine.everything().statuses.set[str(bad.ref)]["status"]["parents"]
    assert [one["parentRef"]["name"] for one in parents] == ["gw"]
    status, reason, message, generation = _conditions(engine, bad)["Accepted"]
    assert (status, reason, generation) == ("False", "UnsupportedValue", 1)
    assert _PATH in message
    assert {key.split("/")[9] for key in _routes(engine)} == {"b"}


def test_nothing_in_a_refused_object_is_trusted() -> None:
    """Its status is made from what could not be read."""
    for spec in ({}, {"parentRefs": 1}, {"parentRefs": [1, {"name": {}}, {"name": "gw", "namespace": []}]}, {"x": "gw"}):
        bad = put(API, "v1", "HTTPRoute", "a", {"spec": {**spec, "nonsense": 1}})
        engine = _engine(*_REST, bad, put(API, "v1", "Gateway", "g", {"spec": {"gatewayClassName": [], "listeners": 3}}))
        assert not engine.apply(change_set(number=99), 99).warnings


def test_a_refused_gateway_goes_on_serving() -> None:
    bad = gateway("gw", {"name": "http", "port": "many", "protocol": "HTTP"}, generation=2)
    wanted = _engine(*_REST, route("a")).everything().fragments.set
    engine = _engine(*_REST, route("a"), bad)
    assert engine.everything().fragments.set == wanted
    status, reason, message, generation = _conditions(engine, bad)["Accepted"]
    assert (status, reason, generation) == ("False", "Invalid", 2)
    assert "spec.listeners[0].port" in message
    assert "last good" in message
    assert _conditions(engine, bad)["Programmed"][0] == "True"


def test_a_gateway_refused_from_the_start_says_so() -> None:
    bad = gateway("gw", {"name": "http", "port": "many", "protocol": "HTTP"})
    engine = _engine(bad, route("a"))
    found = _conditions(engine, bad)
    assert found["Accepted"][:2] == found["Programmed"][:2] == ("False", "Invalid")
    assert "spec.listeners[0].port" in found["Accepted"][2]
    assert not engine.everything().fragments.set
    other = put(API, "v1", "Gateway", "other", {"spec": {"gatewayClassName": "theirs", "listeners": []}})
    assert str(other.ref) not in _engine(other).everything().statuses.set


def test_a_refused_service_keeps_its_endpoints() -> None:
    """Kinds without conditions of ours keep what they were."""
    bad = put("", "v1", "Service", "s", {"spec": {"ports": [{"port": "x"}]}}, 2)
    wanted = _engine(*_REST, route("a")).everything().fragments.set
    assert _engine(*_REST, route("a"), bad).everything().fragments.set.keys() == wanted.keys()


def test_classes_and_backends_say_so_too() -> None:
    def class_(**more: Any) -> Put:
        spec = {"controllerName": "penstock.dev/gateway-controller", **more}
        return put(API, "v1", "GatewayClass", "ours", {"spec": spec})

    found = _conditions(_engine(class_(nonsense=1)), class_())["Accepted"]
    assert found[0] == "False"
    assert "spec.nonsense" in found[2]
    bad = put(_KGATEWAY, "v1alpha1", "Backend", "b", {"spec": {"type": "Static", "static": {"hosts": 1}}})
    found = _conditions(_engine(bad), bad)["Accepted"]
    assert found[:2] == ("False", "Invalid")
    assert "spec.static.hosts" in found[2]


def test_what_a_source_refused_is_told_by_the_object_that_stays() -> None:
    """A file's bad revision never enters the log; its message does. Mended or gone, nothing is left of it."""
    told = Refused("r.yaml:3", route("a").ref, f"{_PATH}: must start with /")
    engine = _engine(*_REST, route("a"), told)
    message = _conditions(engine, route("a"))["PartiallyInvalid"][2]
    assert _PATH in message
    assert "r.yaml:3" in message
    engine.apply(change_set(Admitted("r.yaml:3"), number=9), 9)
    assert engine.everything().statuses == _engine(*_REST, route("a")).everything().statuses
    engine.apply(change_set(told, delete(route("a")), number=10), 10)
    assert str(route("a").ref) not in engine.everything().statuses.set
    _same_after_a_restart(engine)
