"""rateLimit of a GatewayExtension: who counts requests for all proxies."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import ApiVersion
from envoy_data_plane.envoy.config.ratelimit.v3 import RateLimitServiceConfig
from envoy_data_plane.envoy.extensions.filters.http.ratelimit.v3 import RateLimitXRateLimitHeadersRfcVersion

from engine.envoy.extension_service import grpc_service
from engine.envoy.grpc_service import duration
from engine.envoy.names import cluster_name
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.section import Built, Section
from engine.policies.feature import Use
from engine.resolve.backend_ref import called
from engine.resolve.manifest import mapping
from engine.resolve.values import Problem

_TIMEOUT: Final = "100ms"


def built(graph: Reader, use: Use, block: Json) -> Built | Problem:
    """Fields of RateLimit."""
    asked = mapping(block.get("grpcService"))
    callee = called(graph, use.policy, mapping(asked.get("backendRef")))
    if isinstance(callee, Problem):
        return callee
    service = construct(
        RateLimitServiceConfig,
        grpc_service=grpc_service(cluster_name(callee, use.gateway.cluster), asked),
        transport_api_version=ApiVersion.V3,
    )
    says = block.get("xRateLimitHeaders") == "DraftVersion03"
    versions = RateLimitXRateLimitHeadersRfcVersion
    fields: dict[str, Any] = {
        "domain": str(block.get("domain")),
        "timeout": duration(block.get("timeout") or _TIMEOUT),
        "failure_mode_deny": block.get("failOpen") is False,
        "rate_limit_service": service,
        "enable_x_ratelimit_headers": versions.DRAFT_VERSION_03 if says else versions.OFF,
    }
    return Built(tuple(fields.items()), (callee,))


SECTION = Section("rateLimit", built)
