"""Whole manifests of each kind, that admission takes: what tables and mutations start from."""

from __future__ import annotations

import json
from typing import Any

from tests.models.extension_manifests import GATEWAY_EXTENSIONS
from tests.models.listener_manifests import HTTP_LISTENER_POLICY, LISTENER_POLICY

GATEWAY_API = "gateway.networking.k8s.io"
KGATEWAY = "gateway.kgateway.dev"
Json = dict[str, Any]


def _object(version: str, kind: str, **rest: Any) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "a", "namespace": "default"}, **rest}


GATEWAY_CLASS = _object(
    f"{GATEWAY_API}/v1",
    "GatewayClass",
    spec={
        "controllerName": "penstock.dev/gateway-controller",
        "description": "ours",
        "parametersRef": {"group": KGATEWAY, "kind": "GatewayParameters", "name": "p", "namespace": "x"},
    },
)
GATEWAY = _object(
    f"{GATEWAY_API}/v1",
    "Gateway",
    spec={
        "gatewayClassName": "penstock",
        "addresses": [{"value": "10.0.0.1"}, {"type": "Hostname", "value": "*.example.com"}],
        "infrastructure": {
            "labels": {"example.com/team": "web"},
            "annotations": {"a": "b"},
            "parametersRef": {"group": KGATEWAY, "kind": "GatewayParameters", "name": "p"},
        },
        "allowedListeners": {"namespaces": {"from": "Same"}},
        "defaultScope": "All",
        "tls": {
            "backend": {"clientCertificateRef": {"name": "client"}},
            "frontend": {
                "default": {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}},
                "perPort": [{"port": 8443, "tls": {"validation": {
                    "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca", "namespace": "x"}],
                    "mode": "AllowInsecureFallback",
                }}}],
            },
        },
        "listeners": [
            {
                "name": "http",
                "port": 80,
                "protocol": "HTTP",
                "hostname": "*.example.com",
                "allowedRoutes": {
                    "kinds": [{"kind": "HTTPRoute"}],
                    "namespaces": {"from": "Selector", "selector": {
                        "matchLabels": {"a": "b"},
                        "matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}],
                    }},
                },
            },
            {
                "name": "https",
                "port": 443,
                "protocol": "HTTPS",
                "tls": {"certificateRefs": [{"name": "cert"}], "options": {"example.com/x": "y"}},
            },
        ],
    },
)  # fmt: skip
HEADERS: Json = {"set": [{"name": "x-a", "value": "1"}], "add": [{"name": "x-b", "value": "a b"}], "remove": ["x-c"]}
HTTP_ROUTE = _object(
    f"{GATEWAY_API}/v1",
    "HTTPRoute",
    spec={
        "parentRefs": [{"name": "gw", "sectionName": "http"}, {"name": "gw", "sectionName": "https"}],
        "hostnames": ["a.example.com", "*.example.org"],
        "useDefaultGateways": "All",
        "rules": [
            {
                "name": "first",
                "matches": [
                    {
                        "path": {"type": "PathPrefix", "value": "/api"},
                        "headers": [{"name": "x-a", "type": "RegularExpression", "value": "a.*"}],
                        "queryParams": [{"name": "q", "value": "ü"}],
                        "method": "GET",
                    },
                ],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": HEADERS},
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": HEADERS},
                    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}, "percent": 5}},
                    {"type": "RequestMirror", "requestMirror": {
                        "backendRef": {"name": "m", "port": 1},
                        "fraction": {"numerator": 1, "denominator": 1000},
                    }},
                    {"type": "URLRewrite", "urlRewrite": {
                        "hostname": "b.example.com",
                        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
                    }},
                    {"type": "CORS", "cors": {
                        "allowOrigins": ["https://*.example.com:8443", "http://a.example.com"],
                        "allowCredentials": True,
                        "allowMethods": ["GET", "PUT"],
                        "allowHeaders": ["x-a"],
                        "exposeHeaders": ["x-b"],
                        "maxAge": 60,
                    }},
                    {"type": "ExternalAuth", "externalAuth": {
                        "protocol": "HTTP",
                        "backendRef": {"name": "auth", "port": 1},
                        "http": {"path": "/check", "allowedHeaders": ["a"], "allowedResponseHeaders": ["b"]},
                        "forwardBody": {"maxSize": 100},
                    }},
                    {"type": "ExtensionRef", "extensionRef": {"group": KGATEWAY, "kind": "DirectResponse", "name": "d"}},
                ],
                "backendRefs": [
                    {"name": "a", "port": 80, "weight": 0, "filters": [
                        {"type": "RequestHeaderModifier", "requestHeaderModifier": HEADERS},
                    ]},
                    {"name": "b", "namespace": "other", "group": KGATEWAY, "kind": "Backend", "weight": 1_000_000},
                ],
                "timeouts": {"request": "10s", "backendRequest": "500ms"},
                "retry": {"codes": [500, 503], "attempts": 3, "backoff": "100ms"},
                "sessionPersistence": {
                    "sessionName": "s",
                    "type": "Cookie",
                    "absoluteTimeout": "1h30m",
                    "cookieConfig": {"lifetimeType": "Permanent"},
                },
            },
            {
                "matches": [{"path": {"type": "RegularExpression", "value": "/v[0-9]+"}}],
                "filters": [{"type": "RequestRedirect", "requestRedirect": {
                    "scheme": "https",
                    "hostname": "b.example.com",
                    "port": 8443,
                    "statusCode": 301,
                    "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"},
                }}],
            },
        ],
    },
)  # fmt: skip
GRPC_ROUTE = _object(
    f"{GATEWAY_API}/v1",
    "GRPCRoute",
    spec={
        "parentRefs": [{"name": "gw", "sectionName": "https"}],
        "hostnames": ["a.example.com"],
        "useDefaultGateways": "None",
        "rules": [
            {
                "name": "first",
                "matches": [
                    {
                        "method": {"service": "a.b_c.Echo", "method": "Say_1"},
                        "headers": [{"name": "x-a", "value": "ü"}],
                    },
                    {"method": {"type": "RegularExpression", "service": "a[.]b.*", "method": "Say|Hear"}},
                    {"headers": [{"name": "x-a", "type": "RegularExpression", "value": "a.*"}]},
                ],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": HEADERS},
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": HEADERS},
                    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}, "percent": 5}},
                    {"type": "ExtensionRef", "extensionRef": {"group": KGATEWAY, "kind": "DirectResponse", "name": "d"}},
                ],
                "backendRefs": [
                    {"name": "a", "port": 80, "weight": 2, "filters": [
                        {"type": "RequestHeaderModifier", "requestHeaderModifier": HEADERS},
                    ]},
                ],
                "sessionPersistence": {"sessionName": "s", "type": "Header"},
            },
            {"backendRefs": [{"name": "b", "group": KGATEWAY, "kind": "Backend"}]},
        ],
    },
)  # fmt: skip
STREAM_RULES = [{"name": "r", "backendRefs": [{"name": "a", "port": 80, "weight": 3}, {"name": "b", "port": 81}]}]
TCP_ROUTE = _object(
    f"{GATEWAY_API}/v1", "TCPRoute", spec={"parentRefs": [{"name": "gw", "port": 5432}], "rules": STREAM_RULES}
)
UDP_ROUTE = _object(
    f"{GATEWAY_API}/v1alpha2", "UDPRoute", spec={"parentRefs": [{"name": "gw", "port": 53}], "rules": STREAM_RULES}
)
TLS_ROUTE = _object(
    f"{GATEWAY_API}/v1",
    "TLSRoute",
    spec={
        "parentRefs": [{"name": "set", "kind": "ListenerSet", "sectionName": "tls"}],
        "hostnames": ["a.example.com", "*.example.org"],
        "rules": STREAM_RULES,
    },
)
LISTENER_SET = _object(
    f"{GATEWAY_API}/v1",
    "ListenerSet",
    spec={
        "parentRef": {"name": "gw", "namespace": "infra"},
        "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP", "hostname": "a.example.com"},
            {"name": "tls", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}, "allowedRoutes": {
                "kinds": [{"kind": "TLSRoute"}], "namespaces": {"from": "All"},
            }},
        ],
    },
)  # fmt: skip
BACKEND_TLS_POLICY = _object(
    f"{GATEWAY_API}/v1",
    "BackendTLSPolicy",
    spec={
        "targetRefs": [
            {"group": "", "kind": "Service", "name": "a", "sectionName": "https"},
            {"group": "", "kind": "Service", "name": "a", "sectionName": "grpc"},
        ],
        "validation": {
            "hostname": "a.example.com",
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}],
            "subjectAltNames": [
                {"type": "Hostname", "hostname": "*.example.com"},
                {"type": "URI", "uri": "spiffe://example.com/a"},
            ],
        },
        "options": {"example.com/x": "y"},
    },
)
REFERENCE_GRANT = _object(
    f"{GATEWAY_API}/v1beta1",
    "ReferenceGrant",
    spec={
        "from": [{"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": "x"}],
        "to": [{"group": "", "kind": "Service"}, {"group": "", "kind": "Secret", "name": "s"}],
    },
)
BACKEND = _object(
    f"{KGATEWAY}/v1alpha1",
    "Backend",
    spec={
        "type": "Static",
        "static": {"hosts": [{"host": "10.0.0.1", "port": 80}, {"host": "a_b.Example.com", "port": 443}],
                   "appProtocol": "kubernetes.io/h2c"},
    },
)  # fmt: skip
BACKEND_CONFIG_POLICY = _object(
    f"{KGATEWAY}/v1alpha1",
    "BackendConfigPolicy",
    spec={
        "targetRefs": [{"group": "", "kind": "Service", "name": "a"}, {"group": KGATEWAY, "kind": "Backend", "name": "b"}],
        "targetSelectors": [{"group": "", "kind": "Service", "matchLabels": {"a": "b"}}],
        "connectTimeout": "2s",
        "dns": {"refreshRate": "1m", "jitter": "10s", "respectTTL": True},
        "perConnectionBufferLimitBytes": 0,
        "tcpKeepalive": {"keepAliveProbes": 3, "keepAliveTime": "30s", "keepAliveInterval": "5s"},
        "commonHttpProtocolOptions": {"idleTimeout": "0s", "maxHeadersCount": 1},
        "http2ProtocolOptions": {
            "initialStreamWindowSize": "64Ki", "initialConnectionWindowSize": 65_535,
            "connectionKeepalive": {"timeout": "1ms"},
        },
        "tls": {"files": {"rootCA": "/ca.crt"}, "sni": "a.example.com", "parameters": {"minVersion": "1.2"}},
        "loadBalancer": {
            "localityType": "WeightedLb",
            "ringHash": {"hashPolicies": [
                {"header": {"name": "x-user"}, "terminal": True},
                {"cookie": {"name": "stay", "path": "/", "ttl": "0s", "sameSite": "Lax"}},
                {"sourceIP": {}},
            ]},
        },
        "healthCheck": {
            "timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1,
            "tcp": {"send": "00fF", "receive": ["01"]},
        },
        "outlierDetection": {"consecutive5xx": 0, "interval": "1ms"},
        "circuitBreakers": {"retryBudget": {"budgetPercent": 20}},
        "upstreamProxyProtocol": {"version": "V2"},
    },
)  # fmt: skip
DIRECT_RESPONSE = _object(
    f"{KGATEWAY}/v1alpha1",
    "DirectResponse",
    spec={
        "status": 403,
        "bodyFormat": {
            "contentType": "application/problem+json",
            "json": {"path": "%REQ(:path)%", "list": [1, 2.5, True, {"b": "100%%"}]},
        },
    },
)
SERVICE = _object(
    "v1",
    "Service",
    spec={
        "clusterIP": "None",
        "selector": {"app": "a"},
        "ports": [{"name": "http", "port": 80, "targetPort": "web", "appProtocol": "kubernetes.io/h2c", "nodePort": 1}],
        "anythingElse": {"is": "not read"},
    },
    status={"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}},
)
ENDPOINT_SLICE = _object(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    addressType="IPv6",
    endpoints=[{"addresses": ["::1"], "conditions": {"ready": True}, "zone": "z", "nodeName": "n"}],
    ports=[{"name": "http", "port": 8080, "protocol": "TCP"}],
)
NAMESPACE = _object("v1", "Namespace", spec={"finalizers": ["kubernetes"]})
SECRET = _object("v1", "Secret", type="kubernetes.io/tls", data={"tls.crt": "YQ==", "tls.key": "Yg=="})

CONFIG_MAP = _object("v1", "ConfigMap", data={"ca.crt": "anything"}, binaryData={"not": "read"})

ALL = (
    GATEWAY_CLASS, GATEWAY, HTTP_ROUTE, REFERENCE_GRANT, BACKEND, SERVICE, ENDPOINT_SLICE, NAMESPACE, SECRET,
    GRPC_ROUTE, TCP_ROUTE, UDP_ROUTE, TLS_ROUTE, LISTENER_SET, BACKEND_TLS_POLICY, CONFIG_MAP, BACKEND_CONFIG_POLICY,
    LISTENER_POLICY, HTTP_LISTENER_POLICY, DIRECT_RESPONSE, *GATEWAY_EXTENSIONS,
)  # fmt: skip


def target(manifest: Json) -> tuple[str, str]:
    """Group and kind of a manifest."""
    return manifest["apiVersion"].rpartition("/")[0], manifest["kind"]


def steps(path: str) -> list[str | int]:
    """A path as a list: "a.b[0].c" -> ["a", "b", 0, "c"]."""
    answer: list[str | int] = []
    for part in path.split("."):
        name, *numbers = part.split("[")
        answer += [name, *(int(number.rstrip("]")) for number in numbers)]
    return answer


def copied(manifest: Json) -> Json:
    """A copy that shares no part with another, nor two of its own parts."""
    answer: Json = json.loads(json.dumps(manifest))
    return answer


def changed(manifest: Json, path: str, value: Any) -> Json:
    """A copy with another value at a path; the value `...` removes it."""
    answer: Json = copied(manifest)
    *way, last = steps(path)
    node: Any = answer
    for step in way:
        node = node[step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return answer
