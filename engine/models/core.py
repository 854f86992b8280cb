"""The kinds of Kubernetes itself that are read: only the fields that mean something here, the rest passes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.models.base import Loose, Metadata, Port


class ServicePort(Loose):
    """ServicePort."""

    name: str | None = None
    port: Port
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: int | str | None = None


class ServiceSpec(Loose):
    """ServiceSpec."""

    ports: list[ServicePort] = []
    type: str = "ClusterIP"


class Service(Loose):
    """A Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


class Conditions(Loose):
    """EndpointConditions."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Loose):
    """Endpoint of discovery/v1."""

    addresses: Annotated[list[str], Field(min_length=1, max_length=100)]
    conditions: Conditions | None = None
    zone: str | None = None
    hostname: str | None = None


class EndpointPort(Loose):
    """EndpointPort of discovery/v1."""

    name: str | None = None
    port: Port | None = None
    protocol: str | None = None


class EndpointSlice(Loose):
    """An EndpointSlice."""

    metadata: Metadata
    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None


class Namespace(Loose):
    """A Namespace."""

    metadata: Metadata


class Secret(Loose):
    """A Secret; its values are never looked at here."""

    metadata: Metadata
    type: str = "Opaque"
    data: dict[str, Any] | None = None
