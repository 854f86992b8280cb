"""The kinds that are read, with their models and served versions; the only list of them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from engine.models.backend import Backend
from engine.models.core import EndpointSlice, Namespace, Secret, Service
from engine.models.gateway import Gateway, GatewayClass
from engine.models.http_route import HTTPRoute
from engine.models.reference_grant import ReferenceGrant

_GATEWAY_API = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as kubectl knows it."""

    group: str
    name: str
    plural: str
    versions: tuple[str, ...]
    model: type[BaseModel]
    short: tuple[str, ...] = ()
    namespaced: bool = True


KINDS = (
    Kind("", "Namespace", "namespaces", ("v1",), Namespace, ("ns",), namespaced=False),
    Kind("", "Secret", "secrets", ("v1",), Secret),
    Kind("", "Service", "services", ("v1",), Service, ("svc",)),
    Kind("discovery.k8s.io", "EndpointSlice", "endpointslices", ("v1",), EndpointSlice),
    Kind("gateway.kgateway.dev", "Backend", "backends", ("v1alpha1",), Backend),
    Kind(_GATEWAY_API, "Gateway", "gateways", ("v1", "v1beta1"), Gateway, ("gtw",)),
    Kind(_GATEWAY_API, "GatewayClass", "gatewayclasses", ("v1", "v1beta1"), GatewayClass, ("gc",), namespaced=False),
    Kind(_GATEWAY_API, "HTTPRoute", "httproutes", ("v1", "v1beta1"), HTTPRoute),
    Kind(_GATEWAY_API, "ReferenceGrant", "referencegrants", ("v1", "v1beta1"), ReferenceGrant, ("refgrant",)),
)

BY_NAME = {(kind.group, kind.name): kind for kind in KINDS}
NAMESPACED = {(kind.group, kind.name): kind.namespaced for kind in KINDS}


def is_known(group: str, kind: str) -> bool:
    """Whether objects of the kind are read."""
    return (group, kind) in BY_NAME


def find_kind(word: str) -> Kind | None:
    """The kind that a person names: its name, plural or short name, with or without its group, in any case."""
    name, _, group = word.lower().partition(".")
    for kind in KINDS:
        names = {kind.name.lower(), kind.plural, *kind.short}
        if name in names and group in ("", kind.group):
            return kind
    return None
