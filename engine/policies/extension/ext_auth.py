"""extAuth of a GatewayExtension: who is asked whether a request may pass, by gRPC or HTTP, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import ApiVersion, HeaderValue, HttpUri
from envoy_data_plane.envoy.extensions.filters.http.ext_authz.v3 import (
    AuthorizationRequest,
    AuthorizationResponse,
    BufferSettings,
    HttpService,
)
from envoy_data_plane.envoy.type.matcher.v3 import ListStringMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode

from engine.envoy.extension_service import HTTP, grpc_service, retry_policy
from engine.envoy.grpc_service import duration
from engine.envoy.names import cluster_name
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.section import ROUTE_KEPT, Built, Section
from engine.policies.feature import Use
from engine.resolve.backend_ref import called, referenced
from engine.resolve.manifest import mapping, texts
from engine.resolve.values import BackendKey, Problem

_PATIENCE: Final = timedelta(seconds=2)
"""How long a call by HTTP may take where nothing is said of it (kgateway's)."""


def built(graph: Reader, use: Use, block: Json) -> Built | Problem:
    """Fields of ExtAuthz."""
    service = _service(graph, use, block)
    if isinstance(service, Problem):
        return service
    (name, value), backend = service
    forwarded = texts(block.get("headersToForward"))
    fields: dict[str, Any] = {
        name: value,
        "transport_api_version": ApiVersion.V3,
        "failure_mode_allow": bool(block.get("failOpen")),
        "stat_prefix": str(block.get("statPrefix") or ""),
        "status_on_error": construct(HttpStatus, code=StatusCode(int(block.get("statusOnError") or 403))),
    }
    if block.get("withRequestBody") is not None:
        fields["with_request_body"] = body(mapping(block.get("withRequestBody")))
    if forwarded:
        fields["allowed_headers"] = _names(forwarded)
    left_out = (f"clearRouteCache {ROUTE_KEPT}",) if block.get("clearRouteCache") else ()
    return Built(tuple(fields.items()), (backend,), left_out=left_out)


def body(block: Json) -> BufferSettings:
    """How much of a body the service is told."""
    return construct(
        BufferSettings,
        max_request_bytes=int(block["maxRequestBytes"]),
        allow_partial_message=bool(block.get("allowPartialMessage")),
        pack_as_bytes=bool(block.get("packAsBytes")),
    )


def _service(graph: Reader, use: Use, block: Json) -> tuple[tuple[str, Any], BackendKey] | Problem:
    if block.get("grpcService") is not None:
        asked = mapping(block.get("grpcService"))
        callee = called(graph, use.policy, mapping(asked.get("backendRef")))
        if isinstance(callee, Problem):
            return callee
        return ("grpc_service", grpc_service(cluster_name(callee, use.gateway.cluster), asked)), callee
    asked = mapping(block.get("httpService"))
    found = referenced(graph, use.policy, mapping(asked.get("backendRef")))
    if isinstance(found, Problem):
        return found
    return ("http_service", _http(cluster_name(found[0], use.gateway.cluster), asked)), found[0]


def _http(cluster: str, block: Json) -> HttpService:
    timeout = duration(block.get("requestTimeout"))
    added = mapping(mapping(block.get("authorizationRequest")).get("headersToAdd"))
    answer = mapping(block.get("authorizationResponse"))
    # Its host is nowhere to be seen: the service is asked with the client's.
    uri = construct(
        HttpUri, uri=f"http://{cluster}", cluster=cluster, timeout=_PATIENCE if timeout is None else timeout
    )
    return construct(
        HttpService,
        server_uri=uri,
        path_prefix=str(block.get("pathPrefix") or ""),
        authorization_request=_added(added) if added else None,
        authorization_response=_passed_on(answer) if answer else None,
        retry_policy=retry_policy(block, HTTP),
    )


def _added(headers: Mapping[str, Any]) -> AuthorizationRequest:
    values = [construct(HeaderValue, key=name, value=str(value)) for name, value in sorted(headers.items())]
    return construct(AuthorizationRequest, headers_to_add=values)


def _passed_on(block: Json) -> AuthorizationResponse:
    return construct(
        AuthorizationResponse,
        allowed_upstream_headers=_names(texts(block.get("headersToBackend"))),
        allowed_client_headers=_names(texts(block.get("headersToClient"))),
        allowed_client_headers_on_success=_names(texts(block.get("headersToClientOnSuccess"))),
    )


def _names(names: tuple[str, ...]) -> ListStringMatcher | None:
    if not names:
        return None
    return construct(
        ListStringMatcher, patterns=[construct(StringMatcher, exact=one, ignore_case=True) for one in names]
    )


SECTION = Section("extAuth", built)
