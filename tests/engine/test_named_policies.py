"""TrafficPolicies that rules name by ExtensionRef: one that is refused closes what it may guard, and only that."""

from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import delete, put, route
from tests.support.story import KGATEWAY, SEALER, Story

_USERS = {"users": ["ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="]}


def _policy(generation: int = 1, **spec: Any) -> Put:
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", "p", {"spec": spec}, generation)


def _naming(generation: int = 1) -> Put:
    named = {"group": KGATEWAY, "kind": "TrafficPolicy", "name": "p"}
    rule = {
        "filters": [{"type": "ExtensionRef", "extensionRef": named}],
        "backendRefs": [{"group": KGATEWAY, "kind": "Backend", "name": "b"}],
    }
    return route("named", generation=generation, rules=[rule], hostnames=["named.example.com"])


def _closed(story: Story) -> bool:
    found = story.one(FragmentKind.ROUTE, "/HTTPRoute/default/named/")
    assert found is not None
    message = Route.parse(SEALER.unseal(found.payload, str(found.key).encode()) if found.sealed else found.payload)
    return message.direct_response is not None and message.direct_response.status == 500


@pytest.mark.parametrize(
    ("spec", "closed"),
    [
        ({"basicAuth": {"users": []}}, True),
        ({"basicAuth": {"users": ["nonsense"]}}, True),
        ({"timeouts": {"request": "soon"}}, True),
        ({"basicAuth": _USERS, "timeouts": {"request": "3s"}}, False),
    ],
)
def test_a_refused_one_closes_its_rule(spec: dict[str, Any], *, closed: bool) -> None:
    """Whatever it says: a filter that cannot be resolved must not be skipped (HTTPRouteFilter.extensionRef)."""
    story = Story(_policy(**spec), _naming())
    assert _closed(story) is closed
    assert ("'reason': 'Invalid', 'status': 'False'" in story.says(_policy())) is (spec.get("basicAuth") != _USERS)


def test_one_that_goes_closes_its_rule_until_it_is_there_again() -> None:
    story = Story(_policy(timeouts={"request": "3s"}), _naming())
    good = story.versions()
    story.tell(delete(_policy()))
    assert _closed(story)
    assert "ExtensionNotFound" in story.says(_naming())
    story.tell(_policy(timeouts={"request": "3s"}))
    assert story.versions() == good
