"""BackendConfigPolicies as the property of increments draws them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.events import Put
from tests.property.ages import AGES
from tests.support.manifests import put

_HASHES = [{"header": {"name": "x"}}], [{"sourceIP": {}}, {"cookie": {"name": "c", "ttl": "0s"}}]
_CONFIGS: tuple[dict[str, Any], ...] = (
    {"connectTimeout": "2s"},
    {"connectTimeout": "0s", "circuitBreakers": {"maxConnections": 1}},
    *({"loadBalancer": {"maglev": {"hashPolicies": one}}} for one in _HASHES),
    {"loadBalancer": {"ringHash": {"maximumRingSize": 1, "hashPolicies": _HASHES[0]}}},
    {"tls": {"secretRef": {"name": "cert"}}, "upstreamProxyProtocol": {}},
    {"tls": {"sni": "a.example.com"}},
    {"http2ProtocolOptions": {"maxConcurrentStreams": 5}, "outlierDetection": {}},
)


@st.composite
def configs(draw: Any, number: int, generation: int) -> Put:
    """A policy of one of a few Services, by name, by labels or by both."""
    named = {"targetRefs": [{"group": "", "kind": "Service", "name": f"s{draw(st.integers(0, 2))}"}]}
    chosen = {"targetSelectors": [{"group": "", "kind": "Service", "matchLabels": draw(st.sampled_from([{}, {"a": "b"}]))}]}
    spec = {**draw(st.sampled_from([named, named, chosen, {**named, **chosen}])), **draw(st.sampled_from(_CONFIGS))}
    body = {"metadata": {"creationTimestamp": draw(st.sampled_from(AGES))}, "spec": spec}
    return put("gateway.kgateway.dev", "v1alpha1", "BackendConfigPolicy", f"c{number}", body, generation)
