"""Whole manifests of kgateway's listener policies, with every field that they have."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_BACKEND: Json = {"group": "", "kind": "Service", "name": "collector", "namespace": "x", "port": 4317, "weight": 1}
_SERVICE: Json = {
    "backendRef": _BACKEND,
    "authority": "collector.example.com",
    "maxReceiveMessageLength": 4096,
    "skipEnvoyHeaders": True,
    "timeout": "10s",
    "initialMetadata": [{"key": "x-a", "value": "b"}, {"key": "x-c"}],
    "retryPolicy": {"retryBackOff": {"baseInterval": "1s", "maxInterval": "5s"}, "numRetries": 3},
}
_VALUES: Json = {
    "values": [
        {"key": "a", "value": {"stringValue": "%PROTOCOL%"}},
        {"key": "b", "value": {"arrayValue": [{"stringValue": "x"}, {"arrayValue": [{"stringValue": "%REQ(a)%"}]}]}},
        {"key": "c", "value": {"kvListValue": {"values": [{"key": "d", "value": {"stringValue": "e"}}]}}},
    ]
}
_EVERY_FILTER: list[Json] = [
    {"statusCodeFilter": {"op": "GE", "value": 400}},
    {"durationFilter": {"op": "LE", "value": 100}},
    {"notHealthCheckFilter": True},
    {"traceableFilter": True},
    {"headerFilter": {"header": {"type": "RegularExpression", "name": "x-a", "value": "a.*"}}},
    {"responseFlagFilter": {"flags": ["UH", "NR"]}},
    {"grpcStatusFilter": {"statuses": ["OK", "UNAVAILABLE"], "exclude": True}},
    {"celFilter": {"match": "response.code >= 400 && 'a' in request.headers"}},
    {"runtimeFilter": {
        "runtimeKey": "a.b", "percentSampled": {"numerator": 10, "denominator": "TEN_THOUSAND"},
        "useIndependentRandomness": True,
    }},
]  # fmt: skip
_CHANGES: Json = {
    "set": [{"name": "x-a", "value": "%REQ(b)%"}, {"name": "x-b", "secretRef": {"name": "s", "key": "k", "namespace": "x"}}],
    "add": [{"secretRef": {"name": "s", "key": "x-key"}}],
}
HTTP_SETTINGS: Json = {
    "accessLog": [
        {"fileSink": {"path": "/dev/stdout", "stringFormat": "%CEL(request.host)% %ENVIRONMENT(HOME)% %REQ_WITHOUT_QUERY(:path)%\n"}},
        {"fileSink": {"path": "/dev/stdout", "jsonFormat": {"a": "%PROTOCOL%", "b": [1, True, {"c": "%REQ(x)%"}]}},
         "filter": {"andFilter": _EVERY_FILTER}},
        {"grpcService": {**_SERVICE, "logName": "log", "additionalRequestHeadersToLog": ["x-a", ":path"],
                         "additionalResponseHeadersToLog": ["x-b"], "additionalResponseTrailersToLog": ["x-c"]},
         "filter": {"orFilter": _EVERY_FILTER}},
        {"openTelemetry": {"grpcService": {**_SERVICE, "logName": "log"}, "body": "%PROTOCOL%",
                           "disableBuiltinLabels": True, "attributes": _VALUES, "resourceAttributes": _VALUES},
         "filter": _EVERY_FILTER[0]},
    ],
    "tracing": {
        "provider": {"openTelemetry": {
            "grpcService": _SERVICE, "serviceName": "gw",
            "resourceDetectors": [{"environmentResourceDetector": {"enable": True}}],
            "sampler": {"alwaysOnConfig": {}},
        }},
        "clientSampling": 100, "randomSampling": 50, "overallSampling": 0, "verbose": True, "maxPathTagLength": 100,
        "attributes": [
            {"name": "a", "literal": {"value": "b"}},
            {"name": "b", "environment": {"name": "HOME", "defaultValue": "x"}},
            {"name": "c", "requestHeader": {"name": ":path", "defaultValue": "x"}},
            {"name": "d", "metadata": {"kind": "Route", "metadataKey": {"key": "a", "path": [{"key": "b"}]},
                                       "defaultValue": "x"}},
        ],
        "spawnUpstreamSpan": True,
    },
    "localReplies": {
        "defaultBodyFormat": {"contentType": "text/html", "text": "%LOCAL_REPLY_BODY%\n"},
        "mappers": [{
            "filter": {"statusCodeFilter": {"op": "EQ", "value": 404}}, "statusCode": 410, "body": "gone",
            "bodyFormatOverride": {"json": {"error": "%LOCAL_REPLY_BODY%", "code": "%RESPONSE_CODE%"}}, "headers": _CHANGES,
        }],
    },
    "upgradeConfig": {"enabledUpgrades": ["websocket", "CONNECT"]},
    "useRemoteAddress": False,
    "preserveExternalRequestId": True,
    "generateRequestId": False,
    "xffTrustedCIDRs": ["10.0.0.0/8", "fd00::/8"],
    "skipXFFAppend": False,
    "serverHeaderTransformation": "AppendIfAbsent",
    "serverName": "edge",
    "streamIdleTimeout": "30s",
    "idleTimeout": "1h",
    "maxRequestsPerConnection": 0,
    "maxHeadersCount": 50,
    "http2ProtocolOptions": {"initialStreamWindowSize": "64Ki", "initialConnectionWindowSize": 1048576,
                             "maxConcurrentStreams": 100, "allowConnect": True},
    "healthCheck": {"path": "/healthz"},
    "preserveHttp1HeaderCase": True,
    "acceptHttp10": True,
    "defaultHostForHttp10": "example.com",
    "earlyRequestHeaderModifier": {**_CHANGES, "remove": ["x-c"]},
    "forwardClientCertDetails": {"mode": "SanitizeSet", "details": {
        "subject": True, "cert": True, "chain": False, "dns": True, "uri": True}},
    "maxRequestHeadersKb": 96,
    "uuidRequestIdConfig": {"packTraceReason": False, "useRequestIdForTraceSampling": True},
    "stripHostPortMode": "AnyPort",
}  # fmt: skip
_PORT: Json = {
    "proxyProtocol": {"allowRequestsWithoutProxyProtocol": True},
    "tcpKeepalive": {"keepAliveProbes": 3, "keepAliveTime": "10s", "keepAliveInterval": "5s"},
    "perConnectionBufferLimitBytes": 32768,
    "transportSocketConnectTimeout": "5s",
}
_GATEWAYS: Json = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
LISTENER_POLICY: Json = {
    "apiVersion": "gateway.kgateway.dev/v1alpha1",
    "kind": "ListenerPolicy",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {
        "targetRefs": [{**_GATEWAYS, "name": "gw"}, {**_GATEWAYS, "name": "gw", "sectionName": "https"}],
        "targetSelectors": [{**_GATEWAYS, "matchLabels": {"a": "b"}, "sectionName": "https"}],
        "default": {
            **_PORT,
            "httpSettings": HTTP_SETTINGS,
            "clientCertificateValidation": {
                "mode": "Optional",
                "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca", "namespace": "x"}],
            },
        },
        "perPort": [{"port": 8080, "listener": {**_PORT, "httpSettings": {"acceptHttp10": True}}}],
    },
}
HTTP_LISTENER_POLICY: Json = {
    "apiVersion": "gateway.kgateway.dev/v1alpha1",
    "kind": "HTTPListenerPolicy",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {
        "targetRefs": [{**_GATEWAYS, "name": "gw"}],
        "targetSelectors": [{**_GATEWAYS, "matchLabels": {"a": "b"}}],
        **HTTP_SETTINGS,
    },
}
