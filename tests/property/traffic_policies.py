"""Random TrafficPolicies: at every level, by name and by labels, of any age; those that guard, and those refused."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from engine.events import Put
from tests.property.ages import AGES
from tests.property.api_keys import BLOCKS
from tests.support.manifests import API, put

PRIORITIES: Final = (
    {},
    {"annotations": {"kgateway.dev/inherited-policy-priority": "ShallowMergePreferParent"}},
    {"annotations": {"kgateway.dev/inherited-policy-priority": "DeepMergePreferChild"}},
    {"annotations": {"kgateway.dev/inherited-policy-priority": "DeepMergePreferParent"}},
)
LABELS: Final = ({}, {"labels": {"app": "shop"}})
_TARGETS: Final = (
    ("Gateway", "gw", None),
    ("Gateway", "gw", "http"),
    ("Gateway", "gw", "tls"),
    ("Gateway", "gw1", None),
    ("ListenerSet", "set0", None),
    ("ListenerSet", "set0", "other"),
    ("HTTPRoute", "r0", None),
    ("HTTPRoute", "r1", None),
    ("HTTPRoute", "r1", "nowhere"),
    ("GRPCRoute", "r0", None),
)
_USER: Final = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
_LIMITS: Final = {"extensionRef": {"name": "x1"}, "descriptors": [{"entries": [{"type": "Path"}]}]}
_BLOCKS: Final[tuple[dict[str, Any], ...]] = (
    {"buffer": {"maxRequestSize": "1Ki"}},
    {"buffer": {"disable": {}}},
    {"buffer": {"maxRequestSize": "5Gi"}},
    {"timeouts": {"request": "3s"}},
    {"headerModifiers": {"request": {"set": [{"name": "x", "value": "1"}]}}},
    {"headerModifiers": {"request": {"set": [{"name": "x", "secretRef": {"name": "cert", "key": "tls.crt"}}]}}},
    {"transformation": {"request": {"set": [{"name": "x", "value": "1"}]}}},
    {"transformation": {"response": {"set": [{"name": "x", "value": "{{ request_header('y') }}"}]}}},
    {"transformation": {"response": {"set": [{"name": "x", "value": "{{ nothing( }}"}]}}},
    {"transformation": {"request": {}}},
    *BLOCKS,
    {"basicAuth": {"users": [_USER]}},
    {"basicAuth": {"users": ["nonsense"]}},
    {"basicAuth": {"secretRef": {"name": "cert", "key": "tls.crt"}}},
    {"basicAuth": {"disable": {}}},
    *({"extAuth": {"extensionRef": {"name": name}}} for name in ("x0", "x1")),
    {"extAuth": {"extensionRef": {"name": "x0"}, "contextExtensions": {"a": "b"}}},
    {"extAuth": {"disable": {}}},
    *({"extProc": {"extensionRef": {"name": name}}} for name in ("x0", "x1")),
    {"extProc": {"disable": {}}},
    {"rateLimit": {"global": _LIMITS}},
    {"rateLimit": {"local": {}}},
    {"rateLimit": {"local": {"tokenBucket": {"maxTokens": 1, "fillInterval": "1h"}}, "global": _LIMITS}},
    {"rbac": {"policy": {"matchExpressions": ["request.method == 'GET'"]}}},
    {"rbac": {"policy": {"matchExpressions": ["request.nothing"]}}},
    {"acl": {"defaultAction": "deny", "rules": [{"name": "a", "cidrs": ["10.0.0.0/8"], "action": "allow"}]}},
    {"acl": {"defaultAction": "deny", "rules": [{"name": "b", "cidrs": ["10.0.0.0/8"], "action": "deny"}]}},
    {"acl": {"defaultAction": "allow"}},
    {"acl": {"defaultAction": "deny", "rules": [{"cidrs": ["nonsense"], "action": "deny"}]}},
    *({"jwtAuth": {"extensionRef": {"name": name}}} for name in ("x0", "x1")),
    {"jwtAuth": {"disable": {}}},
    *({"oauth2": {"extensionRef": {"name": name}}} for name in ("x0", "x1")),
)


@st.composite
def traffic_policies(draw: Any, number: int, generation: int) -> Put:
    """One TrafficPolicy."""
    chosen = draw(st.lists(st.sampled_from(_TARGETS), max_size=2, unique=True))
    refs = [
        {"group": API, "kind": kind, "name": name, **({"sectionName": section} if section else {})}
        for kind, name, section in chosen
    ]
    selector = {"group": API, "kind": draw(st.sampled_from(["HTTPRoute", "Gateway"])), "matchLabels": {"app": "shop"}}
    spec: dict[str, Any] = {"targetRefs": refs} if refs else {"targetSelectors": [selector]}
    for block in draw(st.lists(st.sampled_from(_BLOCKS), min_size=1, max_size=3)):
        spec |= block
    body = {"metadata": {"creationTimestamp": draw(st.sampled_from(AGES))}, "spec": spec}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", f"t{number}", body, generation)
