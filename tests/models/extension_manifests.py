"""Whole manifests of GatewayExtensions, with every field of the sections that are served."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_GRPC: Json = {
    "backendRef": {"group": "", "kind": "Service", "name": "a", "namespace": "x", "port": 9000, "weight": 1},
    "authority": "a.example.com",
    "requestTimeout": "1s",
    "retry": {"attempts": 2, "backoff": {"baseInterval": "10ms", "maxInterval": "1s"}},
}
_MODE: Json = {
    "requestHeaderMode": "SEND", "responseHeaderMode": "SKIP", "requestBodyMode": "BUFFERED",
    "responseBodyMode": "STREAMED", "requestTrailerMode": "DEFAULT", "responseTrailerMode": "SKIP",
}  # fmt: skip
_SECTIONS: tuple[tuple[str, Json], ...] = (
    ("ExtAuth", {"extAuth": {"httpService": {
        "backendRef": {"group": "gateway.kgateway.dev", "kind": "Backend", "name": "a"},
        "pathPrefix": "/check",
        "requestTimeout": "1s",
        "authorizationRequest": {"headersToAdd": {"x-a": "b"}},
        "authorizationResponse": {
            "headersToBackend": ["x-a"], "headersToClient": ["x-b"], "headersToClientOnSuccess": ["x-c"],
        },
        "retry": {"attempts": 0},
    }}}),
    ("ExtProc", {"extProc": {
        "grpcService": _GRPC,
        "failOpen": False,
        "processingMode": _MODE,
        "allowProcessingModeOverride": True,
        "allowedProcessingModeOverrides": [_MODE, {}],
        "messageTimeout": "1s",
        "maxMessageTimeout": "2s",
        "statPrefix": "shop",
        "routeCacheAction": "Clear",
        "metadataOptions": {"forwarding": {"typed": ["a"], "untyped": ["b"]}},
        "requestAttributes": ["request.path"],
        "filterStage": {"stage": "AuthN", "predicate": "Before", "weight": -1},
    }}),
    ("RateLimit", {"rateLimit": {
        "grpcService": _GRPC, "domain": "shop", "failOpen": False, "timeout": "1s", "xRateLimitHeaders": "DraftVersion03",
    }}),
    ("ExtAuth", {"extAuth": {
        "grpcService": _GRPC,
        "headersToForward": ["cookie", ":path"],
        "failOpen": True,
        "clearRouteCache": True,
        "withRequestBody": {"maxRequestBytes": 1, "allowPartialMessage": True, "packAsBytes": True},
        "statusOnError": 503,
        "statPrefix": "shop",
    }}),
)  # fmt: skip
GATEWAY_EXTENSIONS = tuple(
    {
        "apiVersion": "gateway.kgateway.dev/v1alpha1",
        "kind": "GatewayExtension",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"type": type_, **section},
    }
    for type_, section in _SECTIONS
)
