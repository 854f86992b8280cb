"""The proxies of a Gateway as Kubernetes knows them: their name, and the addresses that their Service got."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.placement import Placement
from engine.ref import Ref
from engine.resolve.manifest import items, labels_of, mapping, object_of, spec_of, texts

GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
_LONGEST: Final = 63
_KEPT: Final = 50
_DIGITS: Final = 12
_SERVICE: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_NO_LABEL: Final = re.compile(r"[^-A-Za-z0-9_.]")


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
    begin = gateway[:_KEPT].replace(".", "-")
    begin = begin if begin[:1].isalpha() else f"gw-{begin[: _KEPT - 3]}"
    return _hashed(begin, gateway)


def label_value(text: str) -> str:
    """A name as the value of a label: as it is, or, where it is none, its beginning and a hash."""
    if len(text) <= _LONGEST and _LABEL.fullmatch(text):
        return text
    return _hashed(_NO_LABEL.sub("-", text[:_KEPT]), text).lstrip("-_.")


def _hashed(begin: str, whole: str) -> str:
    return f"{begin.rstrip('-_.')}-{hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]}"


def service_addresses(graph: Reader, place: Placement) -> tuple[Address, ...]:
    """Where a Gateway's Service is: at its load balancer, or, of one that has none, at its cluster and external IPs."""
    gateway = place.gateway
    object_ = object_of(graph, Ref(place.cluster, "", "Service", gateway.namespace, proxy_name(gateway.name)))
    if object_ is None or labels_of(object_).get(GATEWAY_NAME) != label_value(gateway.name):
        return ()
    spec = spec_of(object_)
    if spec.get("type") != "LoadBalancer":
        inside = str(spec.get("clusterIP") or "None")
        named = [inside] if inside != "None" else []
        return tuple(Address("IPAddress", one) for one in (*named, *texts(spec.get("externalIPs"))))
    found: dict[Address, None] = {}
    for one in items(mapping(mapping(object_.get("status")).get("loadBalancer")).get("ingress")):
        for type_, field in (("IPAddress", "ip"), ("Hostname", "hostname")):
            if one.get(field):
                found[Address(type_, str(one[field]))] = None
    return tuple(found)
