"""A site with everything that is served: several gateways, TLS, many kinds of routes, and what is refused."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.site import Site
from tests.support.certificate import pair
from tests.support.running import free_port

ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gw}, {name: tls}]
  hostnames: [shop.example.com, "*.shop.example.com"]
  rules:
  - matches:
    - {path: {type: Exact, value: /cart}, method: POST}
    - {path: {type: RegularExpression, value: "/items/[0-9]+"}, headers: [{name: x-beta, value: "yes"}]}
    - {queryParams: [{name: q, value: a}]}
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: x-a, value: "1"}], remove: [x-b]}}
    - {type: URLRewrite, urlRewrite: {hostname: inner.example.com, path: {type: ReplaceFullPath, replaceFullPath: /x}}}
    timeouts: {request: 10s, backendRequest: 2s}
    retry: {codes: [503], attempts: 2, backoff: 100ms}
    backendRefs: [{name: be, port: 80, weight: 80}, {name: other, port: 80, weight: 20}, {name: nobody, port: 80, weight: 5}]
  - matches: [{path: {type: PathPrefix, value: /old}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
    backendRefs: [{name: be, port: 80}]
  - filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mirrored}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /mirror}}]
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: other, port: 80}, percent: 50}}
    - {type: CORS, cors: {allowOrigins: ["https://*.example.com"], allowMethods: [GET], maxAge: 60}}
    backendRefs: [{name: be, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: invalid}
spec:
  parentRefs: [{name: gw}]
  hostnames: [bad.example.com]
  rules: [{matches: [{path: {type: RegularExpression, value: "/\\\\p{Letter}+("}}], backendRefs: [{name: be, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {ports: [{name: http, port: 80, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: other, labels: {kubernetes.io/service-name: other}}
addressType: IPv4
ports: [{name: http, port: 9}]
endpoints:
- {addresses: [127.0.0.1], conditions: {ready: true}, zone: a}
- {addresses: [127.0.0.2], conditions: {ready: false}, zone: b}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: typo}
spec: {parentRefs: [{name: gw}], hostname: [a.example.com]}
"""
TLS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: tls}}
spec:
  gatewayClassName: penstock
  listeners:
  - {{name: a, port: {port}, protocol: HTTPS, hostname: "*.example.com", tls: {{certificateRefs: [{{name: cert}}]}}}}
  - {{name: b, port: {port}, protocol: HTTPS, hostname: b.example.com, tls: {{certificateRefs: [{{name: cert}}]}}}}
  - {{name: c, port: {other}, protocol: HTTPS, tls: {{certificateRefs: [{{name: missing}}]}}}}
"""


def populate(site: Site) -> None:
    """Write all of it; route r answers x-route one."""
    site.populate()
    site.write("routes.yaml", ROUTES)
    site.write("tls/gateway.yaml", TLS.format(port=free_port(), other=free_port()))
    chain, key = pair(ec.generate_private_key(ec.SECP256R1()))
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert"}, "type": "kubernetes.io/tls"}
    site.write("tls/secret.json", json.dumps({**head, "data": data}))
