"""accessLog: what is told of requests, to files and services."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.core.v3 import ApiVersion
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.grpc.v3 import CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig
from envoy_data_plane.envoy.extensions.access_loggers.open_telemetry.v3 import OpenTelemetryAccessLogConfig
from envoy_data_plane.google.protobuf import Any as ProtoAny
from envoy_data_plane.opentelemetry.proto.common.v1 import AnyValue, ArrayValue, KeyValue, KeyValueList

from engine.envoy.format_string import json_format, text_format
from engine.envoy.grpc_service import grpc_service, retry_policy
from engine.envoy.log_filter import log_filter
from engine.envoy.names import cluster_name
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.listener.feature import Effect, Feature, Given, both, managed
from engine.ref import Ref
from engine.resolve.backend_ref import called
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.values import BackendKey, Problem

_FIELD: Final = "httpSettings.accessLog"
_TYPES: Final = "envoy.extensions.access_loggers"


def effect(graph: Reader, given: Given) -> Effect:
    """All logs whose sinks can be had; the others are told of."""
    policy = given.policy(_FIELD)
    logs: list[AccessLog] = []
    problems: list[tuple[Ref, Problem]] = []
    backends: list[BackendKey] = []
    for number, block in enumerate(items(given.value(_FIELD))):
        callee = _callee(graph, policy, block)
        if isinstance(callee, Problem):
            text = f"accessLog[{number}] is not written: {callee.message}"
            problems.append((policy, Problem(callee.reason, text)))
            continue
        if callee is not None:
            backends.append(callee)
        cluster = cluster_name(callee, given.gateway.cluster) if callee is not None else ""
        logs.append(_log(block, cluster, given.gateway))
    made = managed(access_log=logs) if logs else Effect()
    return both([made, Effect(problems=tuple(problems), backends=tuple(backends))])


def _callee(graph: Reader, policy: Ref, block: Json) -> BackendKey | Problem | None:
    """Who is told; None for a file."""
    service = _service(block)
    return called(graph, policy, mapping(service.get("backendRef"))) if service else None


def _service(block: Json) -> Json:
    return mapping(block.get("grpcService")) or mapping(mapping(block.get("openTelemetry")).get("grpcService"))


def _log(block: Json, cluster: str, gateway: Ref) -> AccessLog:
    if "fileSink" in block:
        name, config = "envoy.access_loggers.file", _file(mapping(block.get("fileSink")))
    elif "grpcService" in block:
        name, config = "envoy.access_loggers.http_grpc", _grpc(_service(block), cluster, gateway)
    else:
        name = "envoy.access_loggers.open_telemetry"
        config = _telemetry(mapping(block.get("openTelemetry")), cluster, gateway)
    return construct(AccessLog, name=name, filter=log_filter(mapping(block.get("filter"))), typed_config=config)


def _file(sink: Json) -> ProtoAny:
    text = sink.get("stringFormat")
    shape = text_format(str(text)) if text is not None else json_format(mapping(sink.get("jsonFormat")))
    message = construct(FileAccessLog, path=str(sink.get("path")), log_format=shape)
    return packed(f"{_TYPES}.file.v3.FileAccessLog", message)


def _name(service: Json, gateway: Ref) -> str:
    """Envoy wants one; the Gateway's where none is written."""
    return str(service.get("logName") or f"{gateway.name}.{gateway.namespace}")


def _grpc(service: Json, cluster: str, gateway: Ref) -> ProtoAny:
    common = construct(
        CommonGrpcAccessLogConfig,
        log_name=_name(service, gateway),
        grpc_service=grpc_service(cluster, service),
        # Of one stream for all: with the service's policy alone, one that broke is begun again with what it has told.
        grpc_stream_retry_policy=retry_policy(service),
        transport_api_version=ApiVersion.V3,
    )
    message = construct(
        HttpGrpcAccessLogConfig,
        common_config=common,
        additional_request_headers_to_log=list(texts(service.get("additionalRequestHeadersToLog"))),
        additional_response_headers_to_log=list(texts(service.get("additionalResponseHeadersToLog"))),
        additional_response_trailers_to_log=list(texts(service.get("additionalResponseTrailersToLog"))),
    )
    return packed(f"{_TYPES}.grpc.v3.HttpGrpcAccessLogConfig", message)


def _telemetry(sink: Json, cluster: str, gateway: Ref) -> ProtoAny:
    service, body = mapping(sink.get("grpcService")), sink.get("body")
    resource = items(mapping(sink.get("resourceAttributes")).get("values"))
    if all(one.get("key") != "service.name" for one in resource):
        named = {"key": "service.name", "value": {"stringValue": f"{gateway.name}.{gateway.namespace}"}}
        resource = [named, *resource]
    message = construct(
        OpenTelemetryAccessLogConfig,
        grpc_service=grpc_service(cluster, service),
        log_name=_name(service, gateway),
        disable_builtin_labels=bool(sink.get("disableBuiltinLabels")),
        resource_attributes=_pairs(resource),
        body=construct(AnyValue, string_value=str(body)) if body is not None else None,
        attributes=_pairs(items(mapping(sink.get("attributes")).get("values"))) if sink.get("attributes") else None,
    )
    return packed(f"{_TYPES}.open_telemetry.v3.OpenTelemetryAccessLogConfig", message)


def _pairs(pairs: list[Json]) -> KeyValueList:
    values = [construct(KeyValue, key=str(one.get("key")), value=_value(mapping(one.get("value")))) for one in pairs]
    return construct(KeyValueList, values=values)


def _value(value: Json) -> AnyValue:
    if "arrayValue" in value:
        array = construct(ArrayValue, values=[_value(one) for one in items(value.get("arrayValue"))])
        return construct(AnyValue, array_value=array)
    if "kvListValue" in value:
        pairs = _pairs(items(mapping(value.get("kvListValue")).get("values")))
        return construct(AnyValue, kvlist_value=pairs)
    return construct(AnyValue, string_value=str(value.get("stringValue", "")))


FEATURE: Final = Feature((_FIELD,), effect)
