"""Random GatewayExtensions: of every section that is served, of services that are there and of those that are not."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from engine.events import Put
from tests.support.manifests import put

_PLACES: Final = ({}, {"filterStage": {"stage": "Fault"}}, {"filterStage": {"stage": "AuthZ", "weight": 1}})


@st.composite
def extensions(draw: Any, number: int, generation: int) -> Put:
    """One GatewayExtension, `x0` or `x1`."""
    named = {"name": f"s{draw(st.integers(0, 2))}", "port": 80}
    if draw(st.booleans()):
        named["namespace"] = draw(st.sampled_from(["default", "other"]))
    service = {"backendRef": named}
    is_open = draw(st.booleans())
    spec = draw(
        st.sampled_from(
            [
                {"extAuth": {"grpcService": service, "failOpen": is_open}},
                {"extAuth": {"httpService": {**service, "retry": {"attempts": 2}}}},
                {"rateLimit": {"grpcService": service, "domain": "d", "failOpen": is_open}},
                *({"extProc": {"grpcService": service, "failOpen": is_open, **place}} for place in _PLACES),
            ]
        )
    )
    return put("gateway.kgateway.dev", "v1alpha1", "GatewayExtension", f"x{number % 2}", {"spec": spec}, generation)
