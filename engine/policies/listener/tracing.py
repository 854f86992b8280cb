"""tracing: spans of requests, to an OpenTelemetry collector."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.trace.v3 import OpenTelemetryConfig, TracingHttp
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManagerTracing
from envoy_data_plane.envoy.extensions.tracers.opentelemetry.resource_detectors.v3 import (
    EnvironmentResourceDetectorConfig,
)
from envoy_data_plane.envoy.extensions.tracers.opentelemetry.samplers.v3 import AlwaysOnSamplerConfig
from envoy_data_plane.envoy.type.v3 import Percent

from engine.envoy.custom_tag import custom_tag
from engine.envoy.grpc_service import grpc_service
from engine.envoy.names import cluster_name
from engine.envoy.typed import extension, packed
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.listener.feature import Effect, Feature, Given, both, managed
from engine.ref import Ref
from engine.resolve.backend_ref import called
from engine.resolve.manifest import items, mapping
from engine.resolve.values import Problem

_FIELD: Final = "httpSettings.tracing"
_TRACERS: Final = "envoy.extensions.tracers.opentelemetry"


def effect(graph: Reader, given: Given) -> Effect:
    """Nothing is traced while nobody can be told."""
    block, policy = given.block(_FIELD), given.policy(_FIELD)
    telemetry = mapping(mapping(block.get("provider")).get("openTelemetry"))
    callee = called(graph, policy, mapping(mapping(telemetry.get("grpcService")).get("backendRef")))
    if isinstance(callee, Problem):
        problem = Problem(callee.reason, f"tracing is off: {callee.message}")
        return Effect(problems=((policy, problem),))
    provider = _provider(telemetry, cluster_name(callee, given.gateway.cluster), given.gateway)
    return both([managed(tracing=_tracing(block, provider)), Effect(backends=(callee,))])


def _tracing(block: Json, provider: TracingHttp) -> HttpConnectionManagerTracing:
    return construct(
        HttpConnectionManagerTracing,
        provider=provider,
        client_sampling=_percent(block.get("clientSampling")),
        random_sampling=_percent(block.get("randomSampling")),
        overall_sampling=_percent(block.get("overallSampling")),
        verbose=bool(block.get("verbose")),
        max_path_tag_length=block.get("maxPathTagLength"),
        custom_tags=[custom_tag(one) for one in items(block.get("attributes"))],
        spawn_upstream_span=block.get("spawnUpstreamSpan"),
    )


def _percent(value: Any) -> Percent | None:
    return construct(Percent, value=float(value)) if value is not None else None


def _provider(block: Json, cluster: str, gateway: Ref) -> TracingHttp:
    detectors = [
        extension(
            "envoy.tracers.opentelemetry.resource_detectors.environment",
            f"{_TRACERS}.resource_detectors.v3.EnvironmentResourceDetectorConfig",
            EnvironmentResourceDetectorConfig(),
        )
        for one in items(block.get("resourceDetectors"))
        if mapping(one.get("environmentResourceDetector")).get("enable") is not False
    ]
    sampler = extension(
        "envoy.tracers.opentelemetry.samplers.always_on",
        f"{_TRACERS}.samplers.v3.AlwaysOnSamplerConfig",
        AlwaysOnSamplerConfig(),
    )
    config = construct(
        OpenTelemetryConfig,
        grpc_service=grpc_service(cluster, mapping(block.get("grpcService"))),
        service_name=str(block.get("serviceName") or f"{gateway.name}.{gateway.namespace}"),
        resource_detectors=detectors,
        sampler=sampler if "sampler" in block else None,
    )
    typed = packed("envoy.config.trace.v3.OpenTelemetryConfig", config)
    return construct(TracingHttp, name="envoy.tracers.opentelemetry", typed_config=typed)


FEATURE: Final = Feature((_FIELD,), effect)
