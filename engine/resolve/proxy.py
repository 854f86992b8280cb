"""The proxies of a Gateway as Kubernetes knows them: their name, and the addresses that their Service got."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.manifest import items, labels_of, mapping, object_of, spec_of

GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
_LONGEST: Final = 63
_KEPT: Final = 50
_DIGITS: Final = 12
_SERVICE: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class Address(NamedTuple):
    """GatewayStatusAddress."""

    type: str
    value: str


def proxy_name(gateway: str) -> str:
    """What a Gateway's objects are named: as it is, or, where no Service can be named so, its beginning and a hash.

    Names of Gateways have up to 253 characters and dots, may begin with a digit; Services' are labels (RFC 1035). The
    shortened form is kgateway's.
    """
    if len(gateway) <= _LONGEST and _SERVICE.fullmatch(gateway):
        return gateway
    digest = hashlib.sha256(gateway.encode()).hexdigest()[:_DIGITS]
    begin = gateway[:_KEPT].replace(".", "-")
    begin = begin if begin[:1].isalpha() else f"gw-{begin[: _KEPT - 3]}"
    return f"{begin.rstrip('-')}-{digest}"


def service_addresses(graph: Reader, gateway: Ref) -> tuple[Address, ...]:
    """Where a Gateway's Service is: at its load balancer, or, of a Service that has none, at its cluster IP."""
    object_ = object_of(graph, Ref(gateway.cluster, "", "Service", gateway.namespace, proxy_name(gateway.name)))
    if object_ is None or labels_of(object_).get(GATEWAY_NAME) != proxy_name(gateway.name):
        return ()
    spec = spec_of(object_)
    if spec.get("type") != "LoadBalancer":
        inside = str(spec.get("clusterIP") or "None")
        return () if inside == "None" else (Address("IPAddress", inside),)
    found: dict[Address, None] = {}
    for one in items(mapping(mapping(object_.get("status")).get("loadBalancer")).get("ingress")):
        for type_, field in (("IPAddress", "ip"), ("Hostname", "hostname")):
            if one.get(field):
                found[Address(type_, str(one[field]))] = None
    return tuple(found)
