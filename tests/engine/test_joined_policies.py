"""extAuth and extProc of several policies that count together: who is asked, in which order, and who not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import FilterConfig, Route, RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.filter_chain.v3 import FilterChainConfigPerRoute
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation

from engine.engine import EngineSettings
from engine.envoy.effect import MERGED
from engine.envoy.typed import unpacked
from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import API, delete, gateway, put, route
from tests.support.story import HTTP_AND_TLS, KGATEWAY, Story

_DEEP = EngineSettings(deep_merges=("acl", "extAuth", "extProc", "transformation"))
_TIMES = tuple(f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 5))
_SERVICE = {"grpcService": {"backendRef": {"name": "s", "port": 80}}}
_OFF = {"disable": {}}


def _extension(name: str, section: str = "extAuth", **more: Any) -> Put:
    prefix = {} if "statPrefix" in more else {"statPrefix": name}
    return put(KGATEWAY, "v1alpha1", "GatewayExtension", name, {"spec": {section: {**_SERVICE, **prefix, **more}}})


def _of(name: str, **more: Any) -> dict[str, Any]:
    return {"extensionRef": {"name": name}, **more}


def _policy(name: str, target: str, age: int = 0, **spec: Any) -> Put:
    kind, _, of = target.partition("/")
    named, _, section = of.partition("#")
    ref = {"group": API, "kind": kind, "name": named, **({"sectionName": section} if section else {})}
    body = {"metadata": {"creationTimestamp": _TIMES[age]}, "spec": {"targetRefs": [ref], **spec}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", name, body)


def _preferring(way: str) -> Put:
    made = gateway("gw", *HTTP_AND_TLS, generation=2)
    annotations = {"kgateway.dev/inherited-policy-priority": way}
    return Put(made.ref, {**made.object, "metadata": {**made.object["metadata"], "annotations": annotations}})


def _route(story: Story, name: str = "r") -> Route:
    fragment = story.one(FragmentKind.ROUTE, f"/{name}/")
    assert fragment is not None
    return Route.parse(fragment.payload)


def _chain(place: Route | RouteConfiguration, name: str = "ext_auth") -> list[tuple[str, str]]:
    """What stands in a chain: name, and its statistics' prefix, "-" for what does nothing."""
    message = unpacked(place.typed_per_filter_config[name])
    assert isinstance(message, FilterChainConfigPerRoute)
    assert message.filter_chain is not None
    found = []
    for one in message.filter_chain.filters:
        assert one.typed_config is not None
        inside = unpacked(one.typed_config)
        found.append((one.name.rpartition(".")[2], "-" if isinstance(inside, HeaderMutation) else inside.stat_prefix))  # type: ignore[attr-defined]
    return found


def _asked(place: Route) -> list[str]:
    return [prefix for _, prefix in _chain(place) if prefix != "-"]


def _whose(place: Route) -> dict[str, list[str]]:
    assert place.metadata is not None
    told = place.metadata.to_dict()["filterMetadata"].get(MERGED, {})
    return {field: [one.rpartition("/")[2] for one in names] for field, names in told.items()}


def _fails(story: Story, name: str = "r") -> bool:
    answer = _route(story, name).direct_response
    return answer is not None and answer.status == 500  # noqa: PLR2004


_AUTHS = (_extension("a"), _extension("b"), _extension("c"))
_THREE = (
    _policy("p1", "HTTPRoute/r", 1, extAuth=_of("b", contextExtensions={"at": "p1"})),
    _policy("p0", "HTTPRoute/r", 0, extAuth=_of("a")),
    _policy("p2", "HTTPRoute/r", 2, extAuth=_of("c")),
)


@pytest.mark.parametrize("order", list(permutations(_THREE)))
def test_all_services_are_asked_in_the_order_of_creation_and_not_of_arrival(order: Sequence[Put]) -> None:
    story = Story(*_AUTHS, settings=_DEEP)
    for one in order:
        story.tell(one)
    assert _chain(_route(story)) == [
        ("ext_authz", "-"), ("ext_authz/default/a", "a"), ("ext_authz/default/b", "b"), ("ext_authz/default/c", "c")
    ]  # fmt: skip
    assert _whose(_route(story)) == {"extAuth": ["p0", "p1", "p2"]}
    assert {"ext_auth", "envoy.filters.http.ext_authz/default/b"} == set(_route(story).typed_per_filter_config)
    assert "Merged with other policies" in story.says(_THREE[0])


def test_without_the_setting_the_oldest_is_asked_alone() -> None:
    assert _chain(_route(Story(*_AUTHS, *_THREE))) == [("ext_authz", "a")]


def test_one_that_was_added_and_removed_leaves_nothing() -> None:
    story = Story(*_AUTHS, *_THREE[:2], settings=_DEEP)
    before = story.versions()
    story.tell(_THREE[2])
    assert story.versions() != before
    story.tell(delete(_THREE[2]))
    assert story.versions() == before


def test_any_that_cannot_be_met_closes_and_what_mends_it_opens() -> None:
    bad = _policy("bad", "HTTPRoute/r", 3, extAuth=_of("missing"))
    story = Story(*_AUTHS, *_THREE, settings=_DEEP)
    assert not _fails(story)
    story.tell(bad)
    assert _fails(story)
    assert "GatewayExtension default/missing does not exist" in story.says(bad)
    assert "Overridden" not in story.says(bad)
    story.tell(_extension("missing"))
    assert not _fails(story)
    assert _asked(_route(story)) == ["a", "b", "c", "missing"]


def test_one_service_is_asked_once_for_the_policy_that_is_first() -> None:
    again = _policy("again", "HTTPRoute/r", 3, extAuth=_of("a", contextExtensions={"at": "again"}))
    story = Story(*_AUTHS, *_THREE, again, settings=_DEEP)
    assert _asked(_route(story)) == ["a", "b", "c"]
    assert "again" not in str(_route(story))
    assert "overridden" in story.says(again).lower()


def test_disable_counts_alone_when_it_is_first() -> None:
    off = _policy("off", "HTTPRoute/r", 0, extAuth=_OFF)
    found = _route(Story(*_AUTHS, *_THREE[::2], off, settings=_DEEP))
    assert unpacked(found.typed_per_filter_config["ext_auth"]) == FilterConfig(disabled=True)
    assert _whose(found) == {"extAuth": ["off"]}


def test_disable_behind_another_switches_nothing_off() -> None:
    """For kgateway it switches off all."""
    off = _policy("off", "HTTPRoute/r", 3, extAuth=_OFF)
    story = Story(*_AUTHS, *_THREE, off, settings=_DEEP)
    assert _asked(_route(story)) == ["a", "b", "c"]
    assert "Overridden" in story.says(off)


_LEVELS = (_policy("g", "Gateway/gw", extAuth=_of("a")), _policy("h", "HTTPRoute/r", extAuth=_of("b")))


@pytest.mark.parametrize(
    ("way", "asked"),
    [
        ("ShallowMergePreferChild", ["b"]),
        ("DeepMergePreferChild", ["b", "a"]),
        ("DeepMergePreferParent", ["a", "b"]),
    ],
)
def test_levels_are_joined_as_the_parent_says(way: str, asked: list[str]) -> None:
    story = Story(*_AUTHS, *_LEVELS, _preferring(way))
    assert _asked(_route(story)) == asked


@pytest.mark.parametrize("way", ["DeepMergePreferChild", "DeepMergePreferParent"])
def test_no_route_switches_off_what_its_gateway_asks(way: str) -> None:
    story = Story(*_AUTHS, _LEVELS[0], _preferring(way))
    gateway_asks = story.one(FragmentKind.ROUTE_CONFIG, "8080")
    story.tell(_policy("h", "HTTPRoute/r", extAuth=_OFF))
    assert story.one(FragmentKind.ROUTE_CONFIG, "8080") == gateway_asks
    here = _route(story).typed_per_filter_config
    assert not here or _asked(_route(story)) == ["a"]


_OPEN = gateway("gw", *HTTP_AND_TLS, generation=3)
_SET = (
    Put(_OPEN.ref, {**_OPEN.object, "spec": {**_OPEN.object["spec"], "allowedListeners": {"namespaces": {"from": "Same"}}}}),
    put(API, "v1", "ListenerSet", "ls", {"spec": {"parentRef": {"name": "gw"}, "listeners": [{"name": "own", "port": 8081, "protocol": "HTTP"}]}}),
    route("set", path="/set", parentRefs=[{"kind": "ListenerSet", "name": "ls"}]),
)  # fmt: skip
_CHILD = (
    route("parent", rules=[{"matches": [{"path": {"type": "PathPrefix", "value": "/child"}}],
                            "backendRefs": [{"group": API, "kind": "HTTPRoute", "name": "child"}]}]),
    route("child", path="/child", parentRefs=[{"group": API, "kind": "HTTPRoute", "name": "parent"}]),
)  # fmt: skip


@pytest.mark.parametrize("guarded", ["Gateway/gw", "Gateway/gw#http"])
@pytest.mark.parametrize("at", ["HTTPRoute/r", "HTTPRoute/child", "ListenerSet/ls", "ListenerSet/ls#own"])
def test_a_disable_that_a_guard_passes_over_takes_nothing_along(guarded: str, at: str) -> None:
    """What is joined with it stays, whatever is farther out; and its status says that it is not in force."""
    off, strict, bad = (_policy(one, at, age, extAuth=_of(one)) for age, one in enumerate(("off", "b", "bad")))
    off = _policy("off", at, extAuth=_OFF)
    guard = _policy("guard", guarded, extAuth=_of("a"))
    if "ListenerSet" in at:
        guard = _policy("guard", "Gateway/gw", extAuth=_of("a"))
    story = Story(*_AUTHS, *_SET, *_CHILD, off, strict, settings=_DEEP)
    assert "Attached to all targets" in story.says(off)
    story.tell(guard)
    asked = story.one(FragmentKind.ROUTE, f"/{at[10:]}/") if "Route" in at else story.one(FragmentKind.VIRTUAL_HOST, "8081")
    assert asked is not None
    assert "ext_auth" in str(asked.payload)
    # At the other listener nothing guards.
    assert ("Overridden" if guarded == "Gateway/gw" or "Route" not in at else "Merged with") in story.says(off)
    assert "extAuth by TrafficPolicy default/guard" in story.says(off)
    assert "cannot switch off what guards farther out" in story.says(off)
    assert "Overridden" not in story.says(strict)
    story.tell(bad)
    assert "Overridden" not in story.says(bad)
    if "Route" in at:
        assert _fails(story, at[10:])
    else:
        closed_ = story.one(FragmentKind.VIRTUAL_HOST, "8081")
        assert closed_ is not None
        assert b"penstock.dev/closed" in closed_.payload


def test_a_disable_says_whether_it_counts_below_a_gateway_and_what_guards_it() -> None:
    off, other = _policy("off", "HTTPRoute/r", extAuth=_OFF), _policy("other", "HTTPRoute/r", 1, extAuth=_of("b"))
    story = Story(*_AUTHS, off, other)
    assert "Attached to all targets" in story.says(off)
    assert "extAuth by TrafficPolicy default/off" in story.says(other)
    story.tell(_LEVELS[0])
    assert "extAuth by TrafficPolicy default/g" in story.says(off)
    assert "extAuth by TrafficPolicy default/g" in story.says(other)
    story.tell(_policy("g", "Gateway/gw", extAuth=_OFF))
    assert "Attached to all targets" in story.says(off)
    story.tell(_policy("above", "HTTPRoute/parent", extAuth=_of("a")), *_CHILD, _policy("child", "HTTPRoute/child", extAuth=_OFF))
    assert "extAuth by TrafficPolicy default/above" in story.says(_policy("child", "HTTPRoute/child"))


def test_each_service_is_one_of_its_own_policys_namespace() -> None:
    """Merged as values, the first policy's namespace would be all others', too."""
    story = Story(*_AUTHS, _THREE[1], *_global(), settings=replace(_DEEP, global_policy_namespace="o"))
    story.tell(_labelled(route("r", generation=2)))
    assert _asked(_route(story)) == ["a", "theirs"]


_SHOP = {"app": "shop"}


def _global() -> tuple[Put, ...]:
    """A policy of the global policy namespace at routes with the label, younger than all others, and its service."""
    there = {"metadata": {"namespace": "o", "creationTimestamp": _TIMES[3]}}
    ports = {"ports": [{"name": "http", "port": 80}]}
    chosen = {"targetSelectors": [{"group": API, "kind": "HTTPRoute", "matchLabels": _SHOP}], "extAuth": _of("a")}
    return (
        put(KGATEWAY, "v1alpha1", "GatewayExtension", "a", {**there, "spec": {"extAuth": {**_SERVICE, "statPrefix": "theirs"}}}),
        put("", "v1", "Service", "s", {**there, "spec": ports}),
        put(KGATEWAY, "v1alpha1", "TrafficPolicy", "global", {**there, "spec": chosen}),
    )  # fmt: skip


def _labelled(made: Put) -> Put:
    return Put(made.ref, {**made.object, "metadata": {**made.object["metadata"], "labels": _SHOP}})


def test_no_older_disable_of_a_tenant_goes_before_what_a_global_policy_asks() -> None:
    story = Story(*_AUTHS, *_global(), *map(_labelled, _CHILD[:1]), _CHILD[1], settings=replace(_DEEP, global_policy_namespace="o"))
    story.tell(_labelled(route("r", generation=2)))
    off, last = (_policy(name, "HTTPRoute/r", age, extAuth=_OFF) for name, age in (("off", 0), ("last", 2)))
    story.tell(off)
    story.tell(_policy("strict", "HTTPRoute/r", 1, extAuth=_of("b")))
    story.tell(last)
    assert _asked(_route(story)) == ["b", "theirs"]
    assert _whose(_route(story)) == {"extAuth": ["strict", "global"]}
    assert "Overridden" in story.says(off)
    # A rule that delegates is guarded by it, though a disable of its own is older.
    story.tell(_policy("above", "HTTPRoute/parent", 0, extAuth=_OFF), _policy("child", "HTTPRoute/child", 0, extAuth=_OFF))
    assert _asked(_route(story, "child")) == ["theirs"]
    story.tell(_policy("below", "HTTPRoute/child", 1, extAuth=_of("c")))
    assert _asked(_route(story, "child")) == ["c"]
    assert "extAuth by TrafficPolicy o/global" in story.says(_policy("child", "HTTPRoute/child"))


def test_a_disable_of_the_global_policy_namespace_itself_counts_where_it_is_first() -> None:
    settings = replace(_DEEP, global_policy_namespace="default")
    off = _policy("off", "HTTPRoute/r", 0, extAuth=_OFF)
    found = _route(Story(*_AUTHS, off, _policy("strict", "HTTPRoute/r", 1, extAuth=_of("b")), settings=settings))
    assert _whose(found) == {"extAuth": ["off"]}


# -- what a farther place has more of ---------------------------------------------------------------------------------

_KEPT_OUT = [("ext_authz/default/a", "-"), ("ext_authz/default/b", "-")]
_AT_GATEWAY = (_policy("g0", "Gateway/gw", 0, extAuth=_of("a")), _policy("g1", "Gateway/gw", 1, extAuth=_of("b")))


def test_a_nearer_place_keeps_out_what_a_farther_one_has_more_of() -> None:
    """Envoy joins the chains of all places by name."""
    story = Story(*_AUTHS, *_AT_GATEWAY, _policy("r", "HTTPRoute/r", extAuth=_of("c")), settings=_DEEP)
    assert _chain(_route(story)) == [("ext_authz", "c"), *_KEPT_OUT]
    story.tell(delete(_AT_GATEWAY[1]))
    assert _chain(_route(story)) == [("ext_authz", "c")]


def test_what_is_said_beside_a_farther_service_is_of_no_nearer_filters_name() -> None:
    """Envoy would tell the nearer service: it joins by name what is said beside filters at all places."""

    def said(name: str) -> dict[str, Any]:
        return _of(name, contextExtensions={"of": name})

    far = [_policy(f"g-{one}", "Gateway/gw", at, extAuth=said(one)) for at, one in enumerate("ab")]
    near = _policy("r", "HTTPRoute/r", extAuth=said("c"))
    story = Story(*_AUTHS, *far, near, _preferring("DeepMergePreferChild"), settings=_DEEP)
    beside = {name.rpartition("/")[2]: one.value for name, one in _route(story).typed_per_filter_config.items() if name != "ext_auth"}
    assert {name: f'"{name}"'[1:-1].encode() in value for name, value in beside.items()} == dict.fromkeys("abc", True)
    around = story.one(FragmentKind.ROUTE_CONFIG, "8080")
    assert around is not None
    farther = set(RouteConfiguration.parse(around.payload).typed_per_filter_config) - {"ext_auth"}
    assert farther == {"envoy.filters.http.ext_authz/default/a", "envoy.filters.http.ext_authz/default/b"}


def test_what_a_listener_switched_off_is_kept_out_where_a_route_switches_it_on_again() -> None:
    off = _policy("l", "Gateway/gw#http", extAuth=_OFF)
    near = _policy("r", "HTTPRoute/r", extAuth=_of("c"))
    story = Story(*_AUTHS, *_AT_GATEWAY, off, near, settings=_DEEP)
    assert _chain(_route(story)) == [("ext_authz", "c"), *_KEPT_OUT]


# -- processing services ----------------------------------------------------------------------------------------------


def _proc(name: str, place: str = "", weight: int = 0) -> Put:
    stage, _, predicate = place.partition("/")
    at = {"filterStage": {"stage": stage, "predicate": predicate, "weight": weight}} if place else {}
    return _extension(name, "extProc", **at)


def test_processing_services_have_their_places_and_at_one_place_their_order() -> None:
    procs = (_proc("a"), _proc("b", "Fault/Before"), _proc("c"), _proc("d", "AuthZ/During", 3), _proc("e", "AuthZ/During", 5))
    policies = [_policy(f"p{one}", "HTTPRoute/r", min(at, 3), extProc=_of(one)) for at, one in enumerate("abcde")]
    found = _route(Story(*procs, *policies, settings=_DEEP))
    assert _chain(found, "ext_proc/AuthZ/After") == [("ext_proc", "-"), ("ext_proc/default/a", "a"), ("ext_proc/default/c", "c")]
    assert _chain(found, "ext_proc/Fault/Before") == [("ext_proc", "-"), ("ext_proc/default/b", "b")]
    assert _chain(found, "ext_proc/AuthZ/During/first") == [("ext_proc", "-"), ("ext_proc/default/e", "e"), ("ext_proc/default/d", "d")]


def test_a_nearer_service_is_asked_alone_whatever_places_the_farther_ones_have() -> None:
    far = (_policy("g0", "Gateway/gw", 0, extProc=_of("a")), _policy("g1", "Gateway/gw", 1, extProc=_of("c")),
           _policy("g2", "Gateway/gw", 2, extProc=_of("b")))  # fmt: skip
    near = _policy("r", "HTTPRoute/r", extProc=_of("d"))
    found = _route(Story(_proc("a"), _proc("b", "Fault/Before"), _proc("c"), _proc("d"), *far, near, settings=_DEEP))
    assert _chain(found, "ext_proc/AuthZ/After") == [("ext_proc", "d"), ("ext_proc/default/a", "-"), ("ext_proc/default/c", "-")]
    assert set(found.typed_per_filter_config) == {"ext_proc/AuthZ/After", "ext_proc/Fault/Before"}


def test_one_processing_service_that_nobody_knows_fails_all() -> None:
    story = Story(_proc("a"), _policy("p", "HTTPRoute/r", 0, extProc=_of("a")), settings=_DEEP)
    assert not _fails(story)
    story.tell(_policy("q", "HTTPRoute/r", 1, extProc=_of("missing")))
    assert _fails(story)
    story.tell(_policy("q", "HTTPRoute/r", 1, extProc={"extensionRef": {"name": "a"}, "nonsense": 1}))
    assert _fails(story)
