"""How far changes reach, and which conditions turn: what is shared reaches all who share it, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Change, Delete, Put
from engine.history.answers import Answers, Asked, answers
from engine.history.explain import configs, request_of
from engine.history.radius import Reach
from engine.history.what_if import Trial, WhatIf, tried, what_if
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service
from tests.xds.test_court import certificate

_SEALER = Sealer(bytes(KEY_BYTES))
_GW = f"local/{API}/Gateway/default/gw"


def _rules(*rules: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": backend, "port": 80}]}
        for path, backend in rules
    ]


def _shop(*rules: tuple[str, str], generation: int = 1) -> Put:
    return route("shop", generation=generation, hostnames=["shop.example.com"], rules=_rules(*rules))


_BASE: list[Change] = [
    gateway(),
    gateway("other", {"name": "http", "port": 8090, "protocol": "HTTP"}),
    *(one for name in ("pay", "cart") for one in (service(name), endpoints(name))),
    _shop(("/pay", "pay"), ("/cart", "cart")),
    route("home", "cart", hostnames=["home.example.com"]),
    route("far", "pay", hostnames=["shop.example.com"], parentRefs=[{"name": "other"}]),
]


def _trial(*changes: Change, base: list[Change] = _BASE) -> Trial:
    engine = Engine(_SEALER)
    engine.apply(change_set(*base), 0)
    return tried(engine, change_set(*changes, number=1))


def _told(*changes: Change, base: list[Change] = _BASE) -> WhatIf:
    trial = _trial(*changes, base=base)
    return what_if(trial.before, trial.after)


def _names(reach: tuple[str, ...]) -> list[str]:
    """Of routes what stands behind their host, of hosts the host."""
    return ["/".join(one.split("/")[6:]).replace("listener~", "") for one in reach]


def _policy(target: dict[str, Any], **spec: Any) -> Put:
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", "p", {"spec": {"targetRefs": [{"group": API, **target}], **spec}})


def test_a_rule_that_moves_to_another_place_is_no_change() -> None:
    told = _told(_shop(("/cart", "cart"), ("/pay", "pay"), generation=2))
    assert told.radius.routes == Reach(4)
    assert told.radius.hosts.changed == ()
    assert told.diff.routing == ()


def test_a_rule_that_goes_elsewhere_reaches_its_match_and_host() -> None:
    told = _told(_shop(("/pay", "cart"), ("/cart", "cart"), generation=2))
    assert _names(told.radius.routes.changed) == ["8080~shop_example_com/HTTPRoute/default/shop/0/0"]
    assert (told.radius.routes.removed, told.radius.routes.added) == ((), ())
    assert _names(told.radius.hosts.changed) == ["8080~shop_example_com"]
    assert told.radius.gateways == Reach(2, (_GW,))


@pytest.mark.parametrize(("name", "backend", "changed"), [("aaa", "cart", 1), ("zzz", "cart", 0), ("aaa", "pay", 0)])
def test_a_rule_that_comes_before_the_same_match_of_another_object_changes_that(
    name: str, backend: str, changed: int
) -> None:
    told = _told(route(name, backend, path="/pay", hostnames=["shop.example.com"])).radius.routes
    assert _names(told.changed) == ["8080~shop_example_com/HTTPRoute/default/shop/0/0"][:changed]
    assert (len(told.added), told.removed) == (1, ())


def test_a_rule_that_goes_is_removed_and_one_that_comes_is_added() -> None:
    gone = _told(_shop(("/pay", "pay"), generation=2)).radius
    assert _names(gone.routes.removed) == ["8080~shop_example_com/HTTPRoute/default/shop/1/0"]
    assert (gone.routes.of, gone.routes.changed) == (4, ())
    come = _told(_shop(("/pay", "pay"), ("/cart", "cart"), ("/new", "cart"), generation=2)).radius
    assert _names(come.routes.added) == ["8080~shop_example_com/HTTPRoute/default/shop/2/0"]
    assert (come.routes.changed, come.routes.removed) == ((), ())
    assert _names(come.hosts.changed) == ["8080~shop_example_com"]


def test_a_backend_reaches_all_routes_that_lead_there_in_every_gateway() -> None:
    told = _told(endpoints("pay", "127.0.0.9"))
    assert _names(told.radius.routes.changed) == [
        "8080~shop_example_com/HTTPRoute/default/shop/0/0",
        "8090~shop_example_com/HTTPRoute/default/far/0/0",
    ]
    assert len(told.radius.gateways.changed) == 2


def test_a_policy_of_a_gateway_reaches_all_of_its_routes_and_one_of_a_route_that_one() -> None:
    csrf = {"csrf": {"percentageEnabled": 100}}
    whole = _told(_policy({"kind": "Gateway", "name": "gw"}, **csrf)).radius
    assert len(whole.routes.changed) == 3
    assert (whole.hosts.of, len(whole.hosts.changed)) == (3, 2)  # but the other Gateway's
    assert whole.gateways.changed == (_GW,)
    one = _told(_policy({"kind": "HTTPRoute", "name": "home"}, **csrf)).radius
    assert _names(one.routes.changed) == ["8080~home_example_com/HTTPRoute/default/home/0/0"]
    assert _names(one.hosts.changed) == ["8080~home_example_com"]


def test_a_gateway_that_goes_takes_all_with_it_and_its_routes_lose_their_parent() -> None:
    told = _told(Delete(gateway().ref))
    assert told.radius.gateways == Reach(2, removed=(_GW,))
    assert len(told.radius.routes.removed) == 3
    assert _names(told.radius.hosts.removed) == ["8080~home_example_com", "8080~shop_example_com"]
    turned = {one.ref.split("/")[-1]: one.conditions for one in told.statuses}
    assert {"gw", "shop", "home"} <= turned.keys()
    (accepted,) = [one for one in turned["shop"] if one.type == "Accepted"]
    assert accepted.of == "parent gw"
    assert accepted.before is not None
    assert accepted.before.status == "True"
    assert accepted.after is None or accepted.after.status == "False"


def test_a_certificate_reaches_the_gateway_and_no_route() -> None:
    """What is sealed is compared by its hash."""
    tls = {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    first, second = certificate(), certificate(generation=2)
    base = [gateway("gw", tls), service("pay"), endpoints("pay"), route("r", "pay"), first]
    told = _told(second, base=base)  # type: ignore[arg-type]
    assert (told.radius.routes.changed, told.radius.hosts.changed, told.radius.gateways.changed) == ((), (), (_GW,))


def test_nothing_differs_from_itself() -> None:
    told = _told(_shop(("/pay", "pay"), ("/cart", "cart")))
    assert not told
    assert told.radius.gateways == Reach(2)


def _asked(trial: Trial, *sample: Asked) -> Answers:
    old, new = (configs(one.moment.fragments, _SEALER) for one in (trial.before, trial.after))
    return answers(old, new, sample)


def _get(url: str, many: int = 1, *, anywhere: bool = False) -> Asked:
    return Asked(url, request_of("GET", url), many, anywhere)


def test_requests_that_are_answered_otherwise() -> None:
    trial = _trial(_shop(("/pay", "cart"), ("/cart", "cart"), generation=2), Delete(service("none").ref))
    pay = _get("http://shop.example.com:8080/pay", 3)
    found = _asked(trial, pay, _get("http://shop.example.com:8080/cart"), _get("http://shop.example.com:8090/pay"))
    assert (found.of, found.changed) == (5, 3)
    (change,) = found.changes
    assert (change.gateway, change.port, change.many) == (_GW, 8080, 3)
    assert change.before is not None
    assert change.after is not None
    assert [one.backend for one in change.before.outcomes] == ["default/pay:80"]
    assert [(one.backend, one.route) for one in change.after.outcomes] == [("default/cart:80", "HTTPRoute default/shop")]


def test_a_request_of_an_access_log_is_asked_at_every_listener() -> None:
    trial = _trial(endpoints("pay", "127.0.0.9"))
    found = _asked(trial, _get("http://shop.example.com/pay", anywhere=True))
    assert (found.of, found.changed) == (1, 1)
    assert [one.port for one in found.changes] == [8080, 8090]


@pytest.mark.parametrize("gone", ["gw", "other"])
def test_a_gateway_that_no_longer_listens_answers_nothing(gone: str) -> None:
    trial = _trial(Delete(gateway(gone).ref))
    found = _asked(trial, _get("http://shop.example.com/pay", anywhere=True))
    assert {one.after for one in found.changes} == {None}
    assert {one.gateway for one in found.changes} == {f"local/{API}/Gateway/default/{gone}"}


def test_a_delete_of_what_others_read() -> None:
    """A Service that goes turns the conditions of the routes to it, and no other's."""
    told = _told(delete(service("cart")))
    turned = {one.ref.split("/")[-1] for one in told.statuses}
    assert turned == {"shop", "home"}
    (condition,) = told.statuses[0].conditions
    assert condition.type == "ResolvedRefs"
    assert condition.after is not None
    assert condition.after.reason == "BackendNotFound"


def _aged(one: Put, created: str) -> Put:
    return Put(one.ref, {**one.object, "metadata": {**one.object["metadata"], "creationTimestamp": created}})


def _dup(created: str) -> Put:
    return _aged(route("dup", hostnames=["shop.example.com"], rules=_rules(("/pay", "cart"))), created)


_NEW, _OLD = "2026-11-24T11:00:00.000Z", "2026-01-01T00:00:00.000Z"


def test_routes_that_only_change_places_move_what_they_take() -> None:
    """Nothing of either route is otherwise, and all of /pay goes elsewhere."""
    told = _told(_dup(_OLD), base=[*_BASE, _dup(_NEW)])
    assert told
    assert told.diff.routing == (
        "Gateway default/gw port 8080 host shop.example.com: /pay moved from default/pay:80 to default/cart:80",
    )
    assert _names(told.radius.routes.changed) == ["8080~shop_example_com/HTTPRoute/default/shop/0/0"]
    assert not told.radius.routes.removed
    assert not told.radius.routes.added


def test_what_another_route_takes_over_is_not_gone() -> None:
    told = _told(Delete(_shop().ref), base=[*_BASE, _dup(_NEW)])
    assert (
        "Gateway default/gw port 8080 host shop.example.com: /pay moved from default/pay:80 to default/cart:80"
        in told.diff.routing
    )
    assert _names(told.radius.routes.changed) == ["8080~shop_example_com/HTTPRoute/default/shop/0/0"]
    assert [one for one in _names(told.radius.routes.removed) if one.endswith("/shop/0/0")] == []


def test_routes_that_change_places_for_nothing_are_not_told() -> None:
    """Both say the same: no request meets anything else."""
    same = route("dup", hostnames=["shop.example.com"], rules=_rules(("/pay", "pay")))
    told = _told(_aged(same, _OLD), base=[*_BASE, _aged(same, _NEW)])
    assert told.diff.routing == ()
    assert told.radius.routes == Reach(told.radius.routes.of)
