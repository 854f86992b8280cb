"""`healthCheck`: every host is asked whether it is well, and one that is not gets nothing."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import (
    HealthCheck,
    HealthCheckGrpcHealthCheck,
    HealthCheckHttpHealthCheck,
    HealthCheckPayload,
    HealthCheckTcpHealthCheck,
    RequestMethod,
)
from envoy_data_plane.envoy.type.v3 import CodecClientType

from engine.envoy.shape import Shape
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span
from engine.resolve.manifest import mapping, texts
from engine.resolve.values import Problem, Protocol


def _shape(block: Json, use: Use) -> Shape | Problem:
    if "grpc" in block and use.whole.protocol is not Protocol.H2C:
        text = "grpc asks over HTTP/2, which the backend does not speak: set appProtocol kubernetes.io/h2c, or use http"
        return Problem("Invalid", text)
    check = construct(
        HealthCheck,
        timeout=span(block, "timeout"),
        interval=span(block, "interval"),
        unhealthy_threshold=block.get("unhealthyThreshold"),
        healthy_threshold=block.get("healthyThreshold"),
        **_asked(block, use),
    )
    return Shape({"health_checks": [check]})


def _asked(block: Json, use: Use) -> dict[str, Any]:
    if "http" in block:
        return {"http_health_check": _http(mapping(block["http"]), use)}
    if "grpc" in block:
        grpc = mapping(block["grpc"])
        said = given(service_name=grpc.get("serviceName"), authority=grpc.get("authority"))
        return {"grpc_health_check": construct(HealthCheckGrpcHealthCheck, **said)}
    tcp = mapping(block.get("tcp"))
    check = construct(
        HealthCheckTcpHealthCheck,
        send=_payload(tcp["send"]) if "send" in tcp else None,
        receive=[_payload(one) for one in texts(tcp.get("receive"))],
    )
    return {"tcp_health_check": check}


def _http(http: Json, use: Use) -> HealthCheckHttpHealthCheck:
    method = http.get("method")
    return construct(
        HealthCheckHttpHealthCheck,
        path=str(http.get("path", "")),
        codec_client_type=CodecClientType.HTTP2 if use.whole.protocol is Protocol.H2C else CodecClientType.HTTP1,
        **given(host=http.get("host"), method=RequestMethod[method] if method is not None else None),
    )


def _payload(text: str) -> HealthCheckPayload:
    return construct(HealthCheckPayload, text=text)


FEATURE: Final = Feature("healthCheck", _shape)
