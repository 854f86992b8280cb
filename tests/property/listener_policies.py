"""Listener policies drawn at random, of those that an API server could let through; not all are taken by their model."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from engine.events import Put
from tests.support.manifests import API, put

_AGES: Final = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
_BACKENDS: Final = (
    {"name": "s0", "port": 80},
    {"name": "s1", "port": 81},
    {"name": "s0", "namespace": "other", "port": 80},
    {"group": "gateway.kgateway.dev", "kind": "Backend", "name": "b"},
)
_HTTP: Final = st.fixed_dictionaries(
    {},
    optional={
        "serverName": st.sampled_from(["a", "b", "bad\nname"]),
        "acceptHttp10": st.booleans(),
        "useRemoteAddress": st.booleans(),
        "xffNumTrustedHops": st.integers(0, 2),
        "xffTrustedCIDRs": st.sampled_from([["10.0.0.0/8"], ["nowhere"]]),
        "healthCheck": st.just({"path": "/healthz"}),
        "idleTimeout": st.sampled_from(["1s", "0s"]),
        "maxHeadersCount": st.sampled_from([1, 50]),
        "accessLog": st.sampled_from(_BACKENDS).map(lambda one: [{"grpcService": {"backendRef": one, "logName": "x"}}]),
        "tracing": st.sampled_from(_BACKENDS).map(
            lambda one: {"provider": {"openTelemetry": {"grpcService": {"backendRef": one}}}}
        ),
        "earlyRequestHeaderModifier": st.sampled_from(["tls.crt", "none"]).map(
            lambda key: {"set": [{"name": "x-a", "secretRef": {"name": "cert", "key": key}}]}
        ),
    },
)
_PORT: Final = st.fixed_dictionaries(
    {},
    optional={
        "proxyProtocol": st.just({}),
        "perConnectionBufferLimitBytes": st.integers(0, 2),
        "transportSocketConnectTimeout": st.sampled_from(["1s", "2s"]),
        "httpSettings": _HTTP,
    },
)
_GUARD: Final = st.sampled_from(
    [
        {"clientCertificateValidation": {"mode": mode, "caCertificateRefs": [{"group": "", "kind": kind, "name": name}]}}
        for mode in ("Require", "Optional")
        for kind, name in (("ConfigMap", "ca0"), ("Secret", "cert"), ("Service", "s0"))
    ]
)


@st.composite
def listener_policies(draw: Any, number: int, generation: int) -> Put:
    """One of either kind, at a Gateway or at a listener of it, by name or by label."""
    section = draw(st.sampled_from([{}, {}, {"sectionName": "tls"}, {"sectionName": "http"}, {"sectionName": "none"}]))
    target = {"group": API, "kind": "Gateway"}
    older = draw(st.booleans())
    named = {**target, "name": draw(st.sampled_from(["gw", "gw1"])), **({} if older else section)}
    spec: dict[str, Any] = {"targetRefs": [named]}
    if draw(st.booleans()) and draw(st.booleans()):
        spec = {"targetSelectors": [{**target, "matchLabels": {}}]}
    if older:
        spec |= draw(_HTTP)
    else:
        spec["default"] = draw(_PORT) | draw(st.just({}) | _GUARD)
        spec["perPort"] = [{"port": port, "listener": draw(_PORT)} for port in draw(st.sets(st.sampled_from([8080, 8443])))]
    body = {"metadata": {"creationTimestamp": draw(st.sampled_from(_AGES))}, "spec": spec}
    kind = "HTTPListenerPolicy" if older else "ListenerPolicy"
    return put("gateway.kgateway.dev", "v1alpha1", kind, f"lp{number}", body, generation)
