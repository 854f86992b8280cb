"""What guards a route holds, whatever is said nearer to it: each case is a way in that was once open."""

from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.engine import EngineSettings
from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import API, endpoints, gateway, put, route, service
from tests.support.story import KGATEWAY, Story

_USERS = {"basicAuth": {"users": ["ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="]}}
_UNMET = {"basicAuth": {"secretRef": {"name": "missing"}}}
_REFUSED = {"extProc": {"extensionRef": {"name": "x"}, "nonsense": 1}}


def _policy(name: str, kind: str, of: str, section: str = "", namespace: str = "default", **spec: Any) -> Put:
    target = {"group": API, "kind": kind, "name": of, **({"sectionName": section} if section else {})}
    body = {"metadata": {"namespace": namespace}, "spec": {"targetRefs": [target], **spec}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", name, body)


def _closed(story: Story, kind: FragmentKind, within: str = "") -> bool:
    fragment = story.one(kind, within)
    return fragment is not None and b"penstock.dev/closed" in fragment.payload


def _fails(story: Story, name: str) -> bool:
    fragment = story.one(FragmentKind.ROUTE, f"/{name}/")
    assert fragment is not None
    answer = Route.parse(fragment.payload).direct_response
    return answer is not None and answer.status == 500  # noqa: PLR2004


def test_a_listener_set_does_not_switch_off_what_guards_its_gateway() -> None:
    """Another namespace's listeners are a tenant's, as its routes are."""
    lets_in = gateway("gw", {"name": "http", "port": 8080, "protocol": "HTTP"}, generation=2)
    spec = {**lets_in.object["spec"], "allowedListeners": {"namespaces": {"from": "All"}}}
    more = {"parentRef": {"name": "gw", "namespace": "default"}, "listeners": [{"name": "own", "port": 81, "protocol": "HTTP"}]}
    tenant = put(API, "v1", "ListenerSet", "ls", {"metadata": {"namespace": "tenant"}, "spec": more})
    mine = route("t", parentRefs=[{"kind": "ListenerSet", "name": "ls", "namespace": "tenant"}])
    off = _policy("off", "ListenerSet", "ls", namespace="tenant", basicAuth={"disable": {}})
    story = Story(Put(lets_in.ref, {**lets_in.object, "spec": spec}), tenant, mine, _policy("p", "Gateway", "gw", **_USERS))
    host = story.one(FragmentKind.VIRTUAL_HOST, "~81~")
    assert host is not None
    story.tell(off)
    assert story.one(FragmentKind.VIRTUAL_HOST, "~81~") == host


def _may_be_off(policy: Put, fields: str) -> Put:
    metadata = {**policy.object["metadata"], "annotations": {"penstock.dev/may-be-disabled": fields}}
    return Put(policy.ref, {**policy.object, "metadata": metadata})


@pytest.mark.parametrize(
    ("fields", "setting", "wanted"),
    [
        ("", (), False), ("jwtAuth", ("extAuth",), False), ("basicAuth", (), True), ("jwtAuth, basicAuth", (), True),
        ("*", (), True), ("", ("basicAuth",), True), ("", ("*",), True),
    ],
)  # fmt: skip
def test_what_guards_is_switched_off_below_only_where_it_says_it_may(
    fields: str, setting: tuple[str, ...], *, wanted: bool
) -> None:
    guard = _may_be_off(_policy("p", "Gateway", "gw", **_USERS), fields)
    off = _policy("off", "HTTPRoute", "r", basicAuth={"disable": {}})
    there = Story(guard, off, settings=EngineSettings(may_be_disabled=setting))
    alone = Story(guard, settings=EngineSettings(may_be_disabled=setting))
    assert (_routes(there) != _routes(alone)) == wanted


def _routes(story: Story) -> bytes:
    fragment = story.one(FragmentKind.ROUTE, "/r/")
    assert fragment is not None
    return fragment.payload


def test_what_was_never_taken_does_not_open_what_is_closed_farther_out() -> None:
    story = Story(_policy("p", "Gateway", "gw", extProc={"extensionRef": {"name": "missing"}}))
    assert _closed(story, FragmentKind.ROUTE_CONFIG)
    story.tell(_policy("q", "HTTPRoute", "r", **_REFUSED))
    assert _fails(story, "r")


def test_a_service_that_changes_requests_is_not_left_out_since_what_is_said_nearer_was_never_taken() -> None:
    """Nobody can know what it was to do; the same for limits, and for forged requests."""
    for refused in (_REFUSED, {"rateLimit": {"local": 5}}, {"csrf": {"percentageEnabled": 101}}):
        assert _fails(Story(_policy("q", "HTTPRoute", "r", **refused)), "r")


def test_a_policy_that_a_rule_names_and_that_was_never_taken_fails_the_rule() -> None:
    """A filter that cannot be resolved must not be skipped (HTTPRouteFilter.extensionRef)."""
    named = {"type": "ExtensionRef", "extensionRef": {"group": KGATEWAY, "kind": "TrafficPolicy", "name": "q"}}
    rule = {"filters": [named], "backendRefs": [{"name": "s", "port": 80}]}
    typo = put(KGATEWAY, "v1alpha1", "TrafficPolicy", "q", {"spec": {"basicAuht": {"users": []}}})
    assert _fails(Story(typo, route("r", rules=[rule])), "r")


def test_a_route_that_fails_at_one_listener_has_its_backend_at_the_other() -> None:
    two = gateway(
        "gw", *({"name": name, "port": port, "protocol": "HTTP"} for name, port in (("a", 8080), ("b", 8081))), generation=2
    )
    first = {"annotations": {"kgateway.dev/inherited-policy-priority": "ShallowMergePreferParent"}}
    two = Put(two.ref, {**two.object, "metadata": {**two.object["metadata"], **first}})
    own = route("own", "t", "/own")
    story = Story(two, service("t"), endpoints("t"), own)
    assert story.one(FragmentKind.CLUSTER, "_t_") is not None
    story.tell(_policy("p", "Gateway", "gw", "a", **_USERS), _policy("q", "HTTPRoute", "own", **_UNMET))
    assert story.one(FragmentKind.CLUSTER, "_t_") is not None


def test_no_filter_has_the_route_chosen_anew() -> None:
    """Which filters stand in a request's way is settled by the first choice: another rule's guards would be passed by."""
    extensions = (
        ("jwt", {"providers": [_PROVIDER]}, "jwtAuth"),
        ("extAuth", {**_SERVICE, "clearRouteCache": True}, "extAuth"),
        ("extProc", {**_SERVICE, "routeCacheAction": "Clear"}, "extProc"),
    )
    for section, spec, block in extensions:
        extension = put(KGATEWAY, "v1alpha1", "GatewayExtension", "x", {"spec": {section: spec}})
        story = Story(extension, _policy("q", "HTTPRoute", "r", **{block: {"extensionRef": {"name": "x"}}}))
        fragment = story.one(FragmentKind.ROUTE, "/r/")
        assert fragment is not None
        shown = str(Route.parse(fragment.payload).to_dict())
        assert "filterChain" in shown, section
        assert "clearRouteCache" not in shown, section
        assert section != "extProc" or "'routeCacheAction': 'RETAIN'" in shown


_KEYS = (
    '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
    ' "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'
)
_PROVIDER = {
    "name": "one",
    "issuer": "https://login.example.com",
    "claimsToHeaders": [{"name": "sub", "header": "x-user"}],
    "jwks": {"local": {"inline": _KEYS}},
}
_SERVICE = {"grpcService": {"backendRef": {"name": "s", "port": 80}}}
