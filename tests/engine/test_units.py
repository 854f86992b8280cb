"""Fields of which parts are in force each by itself: `rateLimit.local` and `rateLimit.global`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.envoy.effect import MERGED
from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import API, delete, put, route
from tests.support.story import KGATEWAY, Story

_TIMES = tuple(f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 5))
_DESCRIPTORS = [{"entries": [{"type": "Path"}]}]
_GLOBAL = {"extensionRef": {"name": "x"}, "descriptors": _DESCRIPTORS}
_MISSING = {"extensionRef": {"name": "missing"}, "descriptors": _DESCRIPTORS}
_EXTENSION = put(
    KGATEWAY,
    "v1alpha1",
    "GatewayExtension",
    "x",
    {"spec": {"rateLimit": {"domain": "d", "grpcService": {"backendRef": {"name": "s", "port": 80}}}}},
)


def _bucket(tokens: int) -> dict[str, Any]:
    return {"tokenBucket": {"maxTokens": tokens, "fillInterval": "1h"}}


def _policy(name: str, target: str, created: str = _TIMES[0], **limits: Any) -> Put:
    kind, _, of = target.partition("/")
    named, _, section = of.partition("#")
    ref = {"group": API, "kind": kind, "name": named, **({"sectionName": section} if section else {})}
    body = {"metadata": {"creationTimestamp": created}, "spec": {"targetRefs": [ref], "rateLimit": limits}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", name, body)


def _route(story: Story, within: str) -> Route:
    fragment = story.one(FragmentKind.ROUTE, within)
    assert fragment is not None
    return Route.parse(fragment.payload)


def _whose(found: Route) -> dict[str, list[str]]:
    assert found.metadata is not None
    told = found.metadata.to_dict()["filterMetadata"].get(MERGED, {})
    return {field: [one.rpartition("/")[2] for one in names] for field, names in told.items()}


_TWO = (
    _policy("younger", "HTTPRoute/r", _TIMES[1], **{"local": _bucket(7), "global": _GLOBAL}),
    _policy("older", "HTTPRoute/r", _TIMES[0], local=_bucket(3)),
)


@pytest.mark.parametrize("order", list(permutations((*_TWO, _EXTENSION))))
def test_of_each_unit_the_oldest_counts_whatever_arrives_first(order: Sequence[Put]) -> None:
    story = Story()
    for one in order:
        story.tell(one)
    found = _route(story, "/r/")
    assert _whose(found) == {"rateLimit.local": ["older"], "rateLimit.global": ["younger"]}
    assert set(found.typed_per_filter_config) == {"ratelimit", "ratelimit/local"}
    assert "overridden: rateLimit.local by TrafficPolicy default/older" in story.says(_TWO[0])
    assert "Attached to all targets" in story.says(_TWO[1])


def test_a_rule_that_says_one_unit_leaves_its_routes_other() -> None:
    rule = {"name": "one", "backendRefs": [{"name": "s", "port": 80}]}
    whole = _policy("whole", "HTTPRoute/n", **{"local": _bucket(7), "global": _GLOBAL})
    story = Story(_EXTENSION, route("n", rules=[rule]), whole, _policy("near", "HTTPRoute/n#one", local={}))
    assert _whose(_route(story, "/n/")) == {"rateLimit.local": ["near"], "rateLimit.global": ["whole"]}


def test_a_unit_that_was_added_and_removed_leaves_nothing() -> None:
    story = Story(_EXTENSION, _TWO[1])
    before = story.versions()
    story.tell(_TWO[0])
    assert story.versions() != before
    story.tell(delete(_TWO[0]))
    assert story.versions() == before


def test_a_unit_that_cannot_be_met_is_told_at_its_place() -> None:
    policy = _policy("p", "HTTPRoute/r", **{"local": _bucket(3), "global": _MISSING})
    story = Story(policy)
    found = _route(story, "/r/")
    assert found.direct_response is not None
    assert "spec.rateLimit.global: GatewayExtension default/missing does not exist" in story.says(policy)


@pytest.mark.parametrize(("said", "opens"), [({"local": 5}, True), ({"locl": _bucket(1)}, False), (5, False)])
def test_what_was_never_taken_closes_all_that_it_may_have_meant(*, said: Any, opens: bool) -> None:
    """Nearer, what it certainly said can be said anew; nobody knows of more."""
    body = {"spec": {"targetRefs": [{"group": API, "kind": "Gateway", "name": "gw"}], "rateLimit": said}}
    story = Story(put(KGATEWAY, "v1alpha1", "TrafficPolicy", "bad", body))
    host = story.one(FragmentKind.ROUTE_CONFIG)
    assert host is not None
    assert b"penstock.dev/closed" in host.payload
    story.tell(_policy("own", "HTTPRoute/r", local=_bucket(3)))
    assert ("penstock.dev/closed" in _route(story, "/r/").typed_per_filter_config) == opens


def test_an_empty_block_is_no_unit() -> None:
    story = Story()
    before = story.versions()
    story.tell(_policy("p", "HTTPRoute/r"))
    assert story.versions() == before
