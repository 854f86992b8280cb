"""Each step of an explanation names what decided it and the object behind it."""

from __future__ import annotations

from typing import Any

from engine.engine import VERSION, Engine
from engine.events import Change
from engine.history.explain import configs, request_of
from engine.history.explain.explanation import explanation
from engine.history.explain.words import lines
from engine.history.revisions import Revisions
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import change_set, endpoints, gateway, put, route, service

_SEALER = Sealer(bytes(KEY_BYTES))
_URL = "http://shop.example.com:8080/pay/now"


def told(changes: list[Change], url: str = _URL, headers: tuple[tuple[str, str], ...] = (), method: str = "GET") -> dict[str, Any]:
    engine = Engine(_SEALER)
    some = [one for name in ("one", "two") for one in (service(name), endpoints(name))]
    engine.apply(change_set(gateway(), *some), 0)
    engine.apply(change_set(*changes, number=1), 1)
    (config,) = configs(engine.everything().fragments.set, _SEALER).values()
    return explanation(config, request_of(method, url, headers), Revisions(engine.state().items(), VERSION))


def policy(name: str, kind: str, target: str, **fields: Any) -> Change:
    at = {"group": "gateway.networking.k8s.io", "kind": kind, "name": target}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", name, {"spec": {"targetRefs": [at], **fields}})


def because(found: dict[str, Any]) -> dict[str, str]:
    return {one["rule"]: ("wins: " if one["wins"] else "loses: ") + one["because"] for one in found["routes"]}


def test_each_route_says_why_it_wins_or_loses() -> None:
    headers = [{"path": {"type": "PathPrefix", "value": "/pay"}, "headers": [{"name": "x-env", "value": "test"}], "method": "POST"}]
    narrow = route("narrow", "two", rules=[{"matches": headers, "backendRefs": [{"name": "two", "port": 80}]}])
    exact = route("exact", rules=[{"matches": [{"path": {"type": "Exact", "value": "/pay"}}]}])
    found = told([narrow, exact, route("pay", "one", "/pay"), route("all", "two", "/")], headers=(("x-env", "prod"),))
    assert because(found) == {
        "HTTPRoute default/exact rule 0": "loses: path is /pay: it is /pay/now",
        "HTTPRoute default/narrow rule 0": "loses: header x-env is test: it is prod; method is POST: it is GET",
        "HTTPRoute default/pay rule 0": "wins: all of it is met",
        "HTTPRoute default/all rule 0": "loses: it is met too, but the longer prefix goes first",
    }


def test_policies_name_their_objects_and_those_that_they_keep_out() -> None:
    csrf = {"percentageEnabled": 100}
    found = told(
        [route("pay", "one", "/"), policy("far", "Gateway", "gw", csrf=csrf), policy("near", "HTTPRoute", "pay", csrf=csrf)],
        method="POST",
    )
    (only,) = found["policies"]
    assert only == {"field": "csrf", "place": "route", "objects": ["TrafficPolicy default/near"], "over": ["TrafficPolicy default/far"]}
    assert {one["field"]: (one["says"], one["objects"]) for one in found["filters"]}["csrf"] == (
        "answers 403",
        ["TrafficPolicy default/near"],
    )
    assert [(one["kind"], one["status"]) for one in found["outcomes"]] == [("filtered", 403)]


def test_what_a_policy_and_what_the_route_itself_sets() -> None:
    rules = [{"backendRefs": [{"name": "one", "port": 80}], "retry": {"attempts": 2}}]
    found = told([route("pay", rules=rules), policy("p", "HTTPRoute", "pay", timeouts={"request": "3s"})])
    owners = {one["feature"]: one["objects"] for one in found["features"]}
    assert owners["timeout"] == ["TrafficPolicy default/p"]
    assert owners["retry"] == ["HTTPRoute default/pay rule 0"]


def test_every_object_has_its_revision() -> None:
    found = told([route("pay", "one", "/", generation=3)])
    revisions = {one["object"]: (one["generation"], one["offset"], one["actor"]) for one in found["objects"]}
    assert revisions["HTTPRoute default/pay"] == (3, 1, "test")
    assert revisions["Gateway default/gw"] == (1, 0, "test")
    assert revisions["Service default/one"] == (1, 0, "test")
    assert revisions["EndpointSlice default/one-1"] == (1, 0, "test")


def test_nothing_of_a_secret_is_shown() -> None:
    """A header that a Secret sets before routes are looked for."""
    ref = {"name": "key"}
    secret = put("", "v1", "Secret", "key", {"data": {"x-key": _SEALER.seal_text(b"canary")}})
    change = {"set": [{"name": "x-key", "secretRef": ref | {"key": "x-key"}}]}
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}
    spec = {"targetRefs": [target], "default": {"httpSettings": {"earlyRequestHeaderModifier": change}}}
    early = put("gateway.kgateway.dev", "v1alpha1", "ListenerPolicy", "lp", {"spec": spec})
    match = [{"headers": [{"name": "x-key", "value": "other"}]}]
    found = told([secret, early, route("pay", rules=[{"matches": match}])])
    assert "(sealed)" in str(found)
    assert "canary" not in str(found)


def test_as_a_person_reads_it() -> None:
    text = "\n".join(lines(told([route("pay", "one", "/pay"), route("other", "two", "/other")])))
    assert "  virtual host listener~8080~*, by the domain *" in text
    assert "    wins  HTTPRoute default/pay rule 0 (path is /pay or below it): all of it is met" in text
    assert "    loses HTTPRoute default/other rule 0 (path is /other or below it): path is /other or below it: it is /pay/now" in text
    assert "    from default/one:80 for shop.example.com:8080/pay/now, at 127.0.0.1:9000" in text


def test_a_request_that_nobody_takes_as_a_person_reads_it() -> None:
    listener = {"name": "http", "port": 8080, "protocol": "HTTP", "hostname": "a.example.com"}
    text = "\n".join(lines(told([gateway("gw", listener, generation=2), route("pay", "one", "/")])))
    assert "virtual host: none of listener~8080 takes the host shop.example.com:8080" in text
    assert "    404\n    for no virtual host takes the host shop.example.com:8080" in text
