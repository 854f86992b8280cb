"""What two moments differ in: objects, routing in sentences, Envoy's resources, proxies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.engine import Engine, EngineSettings
from engine.events import Change, Delete, Put
from engine.history.diff import Diff, Moment, diff
from engine.history.paths import ABSENT, Place, differences
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import change_set, delete, endpoints, gateway, put, route, service

_SEALER = Sealer(bytes(KEY_BYTES))
_BASE = [gateway(), *(one for name in ("pay-v1", "pay-v2") for one in (service(name), endpoints(name)))]
_TALK = {"hostnames": ["shop.example.com"]}


def moment(engine: Engine) -> Moment:
    objects = {key.removeprefix("resource/"): row["object"] for key, row in engine.state().items() if key.startswith("resource/")}
    update = engine.everything()
    return Moment(engine.offset, objects, update.fragments.set, update.infra.set)


def between(before: list[Change], after: list[Change]) -> Diff:
    engine = Engine(_SEALER)
    engine.apply(change_set(*_BASE, *before), 0)
    old = moment(engine)
    engine.apply(change_set(*after, number=1), 1)
    return diff(old, moment(engine))


def pay(backend: str, generation: int = 1, **rule: Any) -> Change:
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/pay"}}], "backendRefs": [{"name": backend, "port": 80}], **rule}]
    return route("pay", backend, "/pay", generation, hostnames=["shop.example.com"], rules=rules)


def test_nothing_differs_from_itself() -> None:
    found = between([pay("pay-v1")], [])
    assert (found.objects, found.routing, found.resources, found.proxies) == ((), (), (), ())
    assert not found


def test_a_route_that_moved_and_lost_its_retry() -> None:
    found = between([pay("pay-v1", retry={"attempts": 2})], [pay("pay-v2", 2)])
    host = "Gateway default/gw port 8080 host shop.example.com"
    assert f"{host}: /pay moved from default/pay-v1:80 to default/pay-v2:80, lost its retry" in found.routing
    (changed,) = found.objects
    assert (changed.key, changed.verb) == ("local/gateway.networking.k8s.io/HTTPRoute/default/pay", "changed")
    assert Place("spec.rules[0].retry", {"attempts": 2}, ABSENT) in changed.places
    assert Place("spec.rules[0].backendRefs[pay-v1]", {"name": "pay-v1", "port": 80}, ABSENT) in changed.places
    assert not any("generation" in place.path for place in changed.places)
    assert any(one.key.endswith("/cluster/kube_default_pay-v1_80") and one.verb == "removed" for one in found.resources)


def test_gateways_of_one_name_in_several_clusters_are_each_told() -> None:
    """They took each other's place: a route that went from one cluster and came to another was told by nothing."""

    def of(cluster: str, *changes: Change) -> list[Change]:
        return [replace(one, ref=one.ref._replace(cluster=cluster)) for one in changes if isinstance(one, Put | Delete)]

    engine = Engine(_SEALER, EngineSettings(shared_address=False))
    told = [
        of("local", *_BASE, pay("pay-v1")),
        of("east", *_BASE, pay("pay-v1")),
        of("west", *_BASE),
    ]
    for number, changes in enumerate(told):
        engine.apply(replace(change_set(*changes, number=number), cluster=changes[0].ref.cluster), number)
    old = moment(engine)
    for number, changes in enumerate((of("west", pay("pay-v1")), of("east", delete(pay("pay-v1")))), 3):
        engine.apply(replace(change_set(*changes, number=number), cluster=changes[0].ref.cluster), number)
    found = diff(old, moment(engine)).routing
    host = "port 8080 host shop.example.com: /pay is"
    assert f"Gateway default/gw of cluster west {host} new, goes to default/pay-v1:80" in found
    assert f"Gateway default/gw of cluster east {host} gone, went to default/pay-v1:80" in found
    assert not [one for one in found if one.rstrip() != one or "local" in one]


def test_what_deployers_are_told_is_a_level_of_its_own() -> None:
    listeners = [{"name": name, "port": port, "protocol": "HTTP"} for name, port in (("http", 8080), ("more", 8081))]
    found = between([], [gateway("gw", *listeners, generation=2), gateway("new")])
    new, changed = found.proxies[1], found.proxies[0]
    assert (new.key, new.verb) == ("local/gateway.networking.k8s.io/Gateway/default/new", "added")
    assert changed.places == (Place("ports[1]", ABSENT, {"port": 8081, "protocol": "TCP"}),)
    assert not between([pay("pay-v1")], [pay("pay-v2", 2)]).proxies
    (gone,) = between([gateway("new")], [delete(gateway("new"))]).proxies
    assert gone.verb == "removed"


def test_a_route_that_comes_and_goes() -> None:
    come = between([], [pay("pay-v1")])
    host = "Gateway default/gw port 8080 host shop.example.com"
    assert f"{host}: /pay is new, goes to default/pay-v1:80" in come.routing
    gone = between([pay("pay-v1")], [delete(pay("pay-v1"))])
    assert f"{host}: /pay is gone, went to default/pay-v1:80" in gone.routing
    assert [(one.verb, one.places) for one in gone.objects] == [("removed", ())]


def test_an_endpoint_that_moves_changes_no_route() -> None:
    other = put("discovery.k8s.io", "v1", "EndpointSlice", "pay-v1-1", {**endpoints("pay-v1").object, "endpoints": [{"addresses": ["10.9.9.9"]}]}, 2)
    found = between([pay("pay-v1")], [other])
    assert len(found.routing) == 1
    assert found.routing[0].startswith("backend default/pay-v1:80 of Gateway default/gw: 10.9.9.9:")


def test_what_a_secret_holds_is_not_shown() -> None:
    secrets = [put("", "v1", "Secret", "key", {"data": {"token": _SEALER.seal_text(text)}}, number) for number, text in enumerate((b"canary-1", b"canary-2"), 1)]
    found = between(secrets[:1], secrets[1:])
    (place,) = found.objects[0].places
    assert place.path == "data.token"
    assert place.before != place.after
    assert "canary" not in str(found)
    assert str(secrets[0].object["data"]["token"]) not in str(found)


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"b": 1}, [("a", 1, ABSENT), ("b", ABSENT, 1)]),
        ([{"name": "x", "v": 1}], [{"name": "y"}, {"name": "x", "v": 2}], [("[x].v", 1, 2), ("[y]", ABSENT, {"name": "y"})]),
        ([{"name": "x"}, {"name": "y"}], [{"name": "y"}, {"name": "x"}], [("", ["x", "y"], ["y", "x"])]),
        ([1, 2], [1], [("[1]", 2, ABSENT)]),
        ([{"name": "x"}, {"name": "x"}], [{"name": "x"}], [("[1]", {"name": "x"}, ABSENT)]),
        ({"a": [1]}, {"a": "1"}, [("a", [1], "1")]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
    ],
)
def test_places(before: Any, after: Any, wanted: list[tuple[str, Any, Any]]) -> None:
    assert list(differences(before, after)) == [Place(*one) for one in wanted]
