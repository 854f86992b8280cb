"""What hypothesis draws of DirectResponses, and of rules that name one, a TrafficPolicy, or a Backend."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.events import Put
from tests.property.backends import KGATEWAY
from tests.support.manifests import put


@st.composite
def other_rules(draw: Any, rule: dict[str, Any]) -> dict[str, Any]:
    """Rules in place of a route's own, of which `rule` is one; mostly none."""
    named = {"group": KGATEWAY, "kind": "DirectResponse", "name": f"d{draw(st.integers(0, 2))}"}
    to = {"group": KGATEWAY, "kind": "Backend", "name": f"b{draw(st.integers(0, 2))}"}
    answering = {"filters": [{"type": "ExtensionRef", "extensionRef": named}]}
    rules = ([answering], [{"backendRefs": [to]}], [{**rule, **answering}], [{**rule, "filters": draw(policies())}])
    return draw(st.sampled_from([{}, {}, *({"rules": one} for one in rules)]))


@st.composite
def policies(draw: Any) -> list[dict[str, Any]]:
    """Filters that name TrafficPolicies."""
    chosen = draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
    named = ({"group": KGATEWAY, "kind": "TrafficPolicy", "name": f"t{number}"} for number in chosen)
    return [{"type": "ExtensionRef", "extensionRef": one} for one in named]


@st.composite
def answers(draw: Any, number: int, generation: int) -> Put:
    """One of three names; one of the specs breaks a rule of the model."""
    spec = draw(st.sampled_from([{"status": 200, "body": "a"}, {"status": 404}, {"status": 99}]))
    return put(KGATEWAY, "v1alpha1", "DirectResponse", f"d{number}", {"spec": spec}, generation)
