"""The kinds of Kubernetes itself that are read: the fields that mean something here are checked, the rest passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from engine.models.base import Loose, LooseObject, Object
from engine.models.kind import Kind
from engine.models.rules import broken
from engine.models.texts import DataKey, Port, is_address, is_host

Protocol = Literal["TCP", "UDP", "SCTP"]


class ServicePort(Loose):
    """ServicePort."""

    name: str | None = None
    port: Port
    protocol: Protocol = "TCP"
    app_protocol: str | None = None
    target_port: Port | str | None = None
    node_port: Annotated[int, Field(ge=0, le=65535)] | None = None


class ServiceSpec(Loose):
    """ServiceSpec."""

    ports: tuple[ServicePort, ...] = ()
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    selector: dict[str, str] = {}
    cluster_ip: Annotated[str | None, Field(alias="clusterIP")] = None
    cluster_ips: Annotated[tuple[str, ...], Field(alias="clusterIPs")] = ()
    external_name: str | None = None
    external_ips: Annotated[tuple[str, ...], Field(alias="externalIPs")] = ()
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ()
    ip_family_policy: str | None = None
    load_balancer_class: str | None = None
    publish_not_ready_addresses: bool = False
    session_affinity: Literal["None", "ClientIP"] | None = None
    internal_traffic_policy: str | None = None
    external_traffic_policy: str | None = None
    traffic_distribution: str | None = None


class Ingress(Loose):
    """LoadBalancerIngress."""

    ip: str | None = None
    hostname: str | None = None


class LoadBalancer(Loose):
    """LoadBalancerStatus."""

    ingress: tuple[Ingress, ...] = ()


class ServiceStatus(Loose):
    """ServiceStatus: where a load balancer put the Service."""

    load_balancer: LoadBalancer = LoadBalancer()


class Service(LooseObject):
    """A Service."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus | None = None


class Conditions(Loose):
    """EndpointConditions; an absent `ready` means ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Loose):
    """Endpoint of discovery/v1."""

    addresses: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    conditions: Conditions | None = None
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: dict[str, Any] | None = None
    target_ref: dict[str, Any] | None = None


class EndpointPort(Loose):
    """EndpointPort of discovery/v1; without `port` it means every port."""

    name: str | None = None
    port: Port | None = None
    protocol: Protocol = "TCP"
    app_protocol: str | None = None


_FITS: Final[Mapping[str, Callable[[str], bool]]] = {
    "IPv4": lambda text: is_address(text, 4),
    "IPv6": lambda text: is_address(text, 6),
    "FQDN": is_host,
}


class EndpointSlice(LooseObject):
    """An EndpointSlice."""

    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=1000)] = ()
    ports: Annotated[tuple[EndpointPort, ...], Field(max_length=20_000)] = ()

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        # Envoy rejects a whole assignment for one address that it cannot read.
        fits = _FITS[self.address_type]
        problems = [
            (f"endpoints[{row}].addresses[{column}]", f"{address!r} is no address of type {self.address_type}")
            for row, endpoint in enumerate(self.endpoints)
            for column, address in enumerate(endpoint.addresses)
            if not fits(address)
        ]
        if problems:
            raise broken(problems)
        return self


class Namespace(LooseObject):
    """A Namespace."""


class ConfigMap(LooseObject):
    """A ConfigMap; certificate authorities stand in some."""

    data: dict[DataKey, str] = {}


class Secret(Object):
    """A Secret; its values are never looked at here, and never part of a message.

    Whole, unlike other foreign kinds: only its known fields are sealed, so an unknown one would be logged in clear.
    """

    type: str = "Opaque"
    data: dict[DataKey, str] = {}
    string_data: dict[DataKey, str] = {}
    immutable: bool = False


KINDS = (
    Kind("", "ConfigMap", "configmaps", ("v1",), ConfigMap, ("cm",)),
    Kind("", "Namespace", "namespaces", ("v1",), Namespace, ("ns",), namespaced=False),
    Kind("", "Secret", "secrets", ("v1",), Secret),
    Kind("", "Service", "services", ("v1",), Service, ("svc",), status_read=("loadBalancer",)),
    Kind("discovery.k8s.io", "EndpointSlice", "endpointslices", ("v1",), EndpointSlice),
)
