"""Route tables as a user writes them: every rule redirects to a name that tells which it is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.routing.reference import Listener, Match, Route, Table, Text

HTTP, HTTPS = 8080, 8443
_API = "gateway.networking.k8s.io/v1"


def manifests(table: Table) -> list[dict[str, Any]]:
    """All objects of a table."""
    spec = {"gatewayClassName": "penstock", "listeners": [_listener(one) for one in table.listeners]}
    gateway = {"apiVersion": _API, "kind": "Gateway", "metadata": {"name": "gw", "namespace": "default"}, "spec": spec}
    return [gateway, certificate(), *[_route(one) for one in table.routes]]


def _listener(listener: Listener) -> dict[str, Any]:
    written: dict[str, Any] = {"name": listener.name, "port": HTTP, "protocol": "HTTP"}
    if listener.tls:
        written |= {"port": HTTPS, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    return written | ({"hostname": listener.hostname} if listener.hostname else {})


@cache
def certificate() -> dict[str, Any]:
    """A certificate that no client of ours looks at."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "any")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    data = {"tls.crt": certificate.public_bytes(Encoding.PEM), "tls.key": pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cert", "namespace": "default"},
        "type": "kubernetes.io/tls",
        "data": {word: base64.b64encode(value).decode() for word, value in data.items()},
    }


def _route(route: Route) -> dict[str, Any]:
    spec: dict[str, Any] = {"parentRefs": [{"name": "gw"} | ({"sectionName": route.section} if route.section else {})]}
    if route.hostnames:
        spec["hostnames"] = list(route.hostnames)
    spec["rules"] = [
        {
            "matches": [_match(match) for match in rule],
            "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": f"{route.name}.rule-{index}"}}],
        }
        for index, rule in enumerate(route.rules)
    ]
    metadata = {"name": route.name, "namespace": "default", "creationTimestamp": route.created}
    return {"apiVersion": _API, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def _match(match: Match) -> dict[str, Any]:
    written: dict[str, Any] = {"path": {"type": match.path_type, "value": match.path}}
    if match.method:
        written["method"] = match.method
    if match.headers:
        written["headers"] = [_text(one) for one in match.headers]
    if match.query:
        written["queryParams"] = [_text(one) for one in match.query]
    return written


def _text(text: Text) -> dict[str, Any]:
    return {"name": text.name, "value": text.value, "type": "RegularExpression" if text.regex else "Exact"}
