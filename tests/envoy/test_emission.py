"""What would break a field rule is caught before it leaves: nothing else is harmed, and its author is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.engine import Engine
from engine.envoy import pgv
from engine.events import Change
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind, Update
from tests.golden.case import MESSAGES
from tests.support.manifests import change_set, endpoints, gateway, route, service

Plant = Callable[[str, str, dict[str, Any]], None]
_ROUTE = "envoy.config.route.v3.Route"


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """Adds a rule to those of a message: stricter than Envoy's, so that what is otherwise good breaks it."""

    def planted(message: str, field: str, rules: dict[str, Any]) -> None:
        messages = pgv.table()["messages"]
        monkeypatch.setitem(messages, message, {**messages[message], field: rules})
        pgv._checker.cache_clear()

    yield planted
    monkeypatch.undo()
    pgv._checker.cache_clear()


def _resolved(*changes: Change) -> Update:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(*changes), 0)
    assert not engine.apply(change_set(number=1), 1).warnings
    return engine.everything()


def _emitted(update: Update, kind: FragmentKind) -> dict[str, Any]:
    found = {one.key.name: one for one in update.fragments.set.values() if one.key.kind is kind}
    return {name: MESSAGES[kind].parse(one.payload) for name, one in found.items()}


def _conditions(update: Update, kind: str, name: str) -> dict[str, tuple[str, str, str]]:
    status = update.statuses.set[f"local/gateway.networking.k8s.io/{kind}/default/{name}"]["status"]
    found = status["parents"][0] if kind == "HTTPRoute" else status
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in found["conditions"]}


_TWO = (gateway(), route("a", "s", "/a"), route("b", "t", "/b"), service(), service("t"), endpoints(), endpoints("t"))


def test_a_route_that_breaks_a_rule_answers_500(plant: Plant) -> None:
    """In what it does: its requests get 500, since without it they would reach a route they were not meant for."""
    plant("envoy.config.route.v3.RouteAction", "cluster", {"string": {"not_in": ["kube_default_s_80"]}})
    update = _resolved(*_TWO)
    routes = _emitted(update, FragmentKind.ROUTE)
    bad, good = (next(one for name, one in routes.items() if f"/{which}/" in name) for which in "ab")
    assert bad.match.path_separated_prefix == "/a"
    assert (bad.direct_response.status, bad.route) == (500, None)
    assert good.route.cluster == "kube_default_t_80"
    said = _conditions(update, "HTTPRoute", "a")["Accepted"]
    assert said[:2] == ("False", "UnsupportedValue")
    assert "spec.rules[0]" in said[2]
    assert "route.cluster" in said[2]
    assert _conditions(update, "HTTPRoute", "b")["Accepted"][0] == "True"
    assert set(_emitted(update, FragmentKind.CLUSTER)) == {"kube_default_t_80"}


def test_a_match_that_breaks_a_rule_is_left_out(plant: Plant) -> None:
    plant("envoy.config.route.v3.RouteMatch", "path_separated_prefix", {"string": {"not_in": ["/a"]}})
    update = _resolved(*_TWO)
    assert [one.match.path_separated_prefix for one in _emitted(update, FragmentKind.ROUTE).values()] == ["/b"]
    said = _conditions(update, "HTTPRoute", "a")["Accepted"]
    assert said[0] == "False"
    assert "spec.rules[0].matches[0]" in said[2]


@pytest.mark.parametrize(
    ("message", "field", "kind"),
    [
        ("envoy.config.cluster.v3.Cluster", "name", FragmentKind.CLUSTER),
        ("envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name", FragmentKind.ENDPOINTS),
    ],
)
def test_a_backend_that_breaks_a_rule_is_told_of_by_its_routes(
    plant: Plant, message: str, field: str, kind: FragmentKind
) -> None:
    """Its cluster is missing, which the route answers with 500."""
    plant(message, field, {"string": {"not_in": ["kube_default_s_80"]}})
    update = _resolved(*_TWO)
    assert set(_emitted(update, kind)) == {"kube_default_t_80"}
    said = _conditions(update, "HTTPRoute", "a")["ResolvedRefs"]
    assert said[:2] == ("False", "UnsupportedValue")
    assert field in said[2]
    assert _conditions(update, "HTTPRoute", "b")["ResolvedRefs"][0] == "True"


def test_a_virtual_host_that_breaks_a_rule_takes_its_routes_along(plant: Plant) -> None:
    rule = {"repeated": {"items": {"string": {"not_in": ["bad.example.com"]}}}}
    plant("envoy.config.route.v3.VirtualHost", "domains", rule)
    bad = route("bad", "s", "/", hostnames=["bad.example.com"])
    update = _resolved(*_TWO, bad, route("both", "s", "/both", hostnames=["bad.example.com", "good.example.com"]))
    domains = [one.domains for one in _emitted(update, FragmentKind.VIRTUAL_HOST).values()]
    assert sorted(domains) == [["*"], ["good.example.com"]]
    assert {name.split("/")[3] for name in _emitted(update, FragmentKind.ROUTE)} == {"a", "b", "both"}
    said = _conditions(update, "HTTPRoute", "bad")["Accepted"]
    assert said[:2] == ("False", "UnsupportedValue")
    assert "bad.example.com" in said[2]
    assert "domains[0]" in said[2]


def test_a_listener_that_breaks_a_rule_is_not_served(plant: Plant) -> None:
    """Others of the same Gateway are."""
    plant("envoy.config.core.v3.SocketAddress", "port_value", {"uint32": {"lte": 8080}})
    both = ({"name": "good", "port": 8080, "protocol": "HTTP"}, {"name": "bad", "port": 8081, "protocol": "HTTP"})
    update = _resolved(gateway("gw", *both), route("a"), service())
    assert set(_emitted(update, FragmentKind.LISTENER)) == {"listener~8080"}
    (infra,) = update.infra.set.values()
    assert infra["ports"] == [{"port": one, "protocol": "TCP"} for one in (8080, 8081)]
    status = next(one for key, one in update.statuses.set.items() if "/Gateway/" in key)["status"]
    good, bad = ({c["type"]: c for c in one["conditions"]} for one in status["listeners"])
    assert good["Programmed"]["status"] == "True"
    assert bad["Accepted"]["status"] == bad["Programmed"]["status"] == "False"
    assert "port_value" in bad["Accepted"]["message"]


def test_the_rule_is_lifted_with_its_cause(plant: Plant) -> None:
    """Mended, everything is as it would have been without the bad revision."""
    plant("envoy.config.route.v3.RouteMatch", "path_separated_prefix", {"string": {"not_in": ["/bad"]}})
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(*_TWO), 0)
    wanted = engine.everything().fragments.set
    engine.apply(change_set(route("a", "s", "/bad"), number=1), 1)
    assert engine.everything().fragments.set != wanted
    engine.apply(change_set(route("a", "s", "/a"), number=2), 2)
    assert engine.everything().fragments.set == wanted
