"""extProc of a GatewayExtension: who is sent parts of requests and responses, and may change them."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessorRouteCacheAction,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)

from engine.envoy.extension_service import grpc_service
from engine.envoy.grpc_service import duration
from engine.envoy.names import cluster_name
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.section import ROUTE_KEPT, Built, Section
from engine.policies.feature import Use
from engine.resolve.backend_ref import called
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.values import Problem


def built(graph: Reader, use: Use, block: Json) -> Built | Problem:
    """Fields of ExternalProcessor."""
    asked = mapping(block.get("grpcService"))
    callee = called(graph, use.policy, mapping(asked.get("backendRef")))
    if isinstance(callee, Problem):
        return callee
    forwarding = mapping(mapping(block.get("metadataOptions")).get("forwarding"))
    fields: dict[str, Any] = {
        "grpc_service": grpc_service(cluster_name(callee, use.gateway.cluster), asked),
        "failure_mode_allow": block.get("failOpen") is not False,
        "allow_mode_override": bool(block.get("allowProcessingModeOverride")),
        "allowed_override_modes": [mode(one) for one in items(block.get("allowedProcessingModeOverrides"))],
        "message_timeout": duration(block.get("messageTimeout")),
        "max_message_timeout": duration(block.get("maxMessageTimeout")),
        "stat_prefix": str(block.get("statPrefix") or ""),
        "route_cache_action": ExternalProcessorRouteCacheAction.RETAIN,
        "request_attributes": list(texts(block.get("requestAttributes"))),
    }
    if block.get("processingMode") is not None:
        fields["processing_mode"] = mode(mapping(block.get("processingMode")))
    if forwarding:
        spaces = construct(
            MetadataOptionsMetadataNamespaces,
            untyped=list(texts(forwarding.get("untyped"))),
            typed=list(texts(forwarding.get("typed"))),
        )
        fields["metadata_options"] = construct(MetadataOptions, forwarding_namespaces=spaces)
    left_out = (f"routeCacheAction {ROUTE_KEPT}",) if block.get("routeCacheAction") == "Clear" else ()
    place = _place(mapping(block.get("filterStage")))
    return Built(tuple(fields.items()), (callee,), place=place, left_out=left_out)


def _place(block: Json) -> tuple[str, str, int]:
    """Stage, predicate and weight; kgateway's own where none is written."""
    if not block:
        return "AuthZ", "After", 0
    return str(block.get("stage")), str(block.get("predicate") or "During"), int(block.get("weight") or 0)


def mode(block: Json) -> ProcessingMode:
    """Which parts the service is sent."""
    return construct(
        ProcessingMode,
        request_header_mode=_header(block.get("requestHeaderMode"), "SEND"),
        response_header_mode=_header(block.get("responseHeaderMode"), "SEND"),
        request_body_mode=_body(block.get("requestBodyMode")),
        response_body_mode=_body(block.get("responseBodyMode")),
        request_trailer_mode=_header(block.get("requestTrailerMode"), "SKIP"),
        response_trailer_mode=_header(block.get("responseTrailerMode"), "SKIP"),
    )


def _header(said: object, default: str) -> ProcessingModeHeaderSendMode:
    return ProcessingModeHeaderSendMode[str(said or default)]


def _body(said: object) -> ProcessingModeBodySendMode:
    return ProcessingModeBodySendMode[str(said or "NONE")]


SECTION = Section("extProc", built)
