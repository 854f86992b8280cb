"""Gateway and GatewayClass (gateway.networking.k8s.io/v1)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.models.base import Group, Hostname, Kind, Metadata, Model, ObjectName, Port, SectionName
from engine.models.references import (
    LabelSelector,
    LocalObjectReference,
    ObjectReference,
    ParametersReference,
    SecretObjectReference,
)

_CONTROLLER = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"


class GatewayClassSpec(Model):
    """GatewayClassSpec."""

    controller_name: Annotated[str, Field(min_length=1, max_length=253, pattern=_CONTROLLER)]
    parameters_ref: ParametersReference | None = None
    description: Annotated[str, Field(max_length=64)] | None = None


class GatewayClass(Model):
    """A GatewayClass."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: GatewayClassSpec


class ListenerTLS(Model):
    """ListenerTLSConfig."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[list[SecretObjectReference], Field(max_length=64)] = []
    options: Annotated[dict[str, str], Field(max_length=16)] = {}

    @model_validator(mode="after")
    def _certificates(self) -> Self:
        if self.mode == "Terminate" and not self.certificate_refs and not self.options:
            msg = "certificateRefs or options must be specified when mode is Terminate"
            raise ValueError(msg)
        return self


class RouteNamespaces(Model):
    """RouteNamespaces."""

    from_: Annotated[Literal["All", "Selector", "Same", "None"], Field(alias="from")] = "Same"
    selector: LabelSelector | None = None


class RouteGroupKind(Model):
    """RouteGroupKind."""

    group: Group = "gateway.networking.k8s.io"
    kind: Kind


class AllowedRoutes(Model):
    """AllowedRoutes."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: Annotated[list[RouteGroupKind], Field(max_length=8)] = []


class Listener(Model):
    """Listener."""

    name: SectionName
    hostname: Hostname | None = None
    port: Port
    protocol: Annotated[str, Field(min_length=1, max_length=255)]
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()

    @model_validator(mode="after")
    def _protocol(self) -> Self:
        if self.protocol in {"HTTP", "TCP", "UDP"} and self.tls is not None:
            msg = f"tls must not be specified for protocol {self.protocol}"
            raise ValueError(msg)
        if self.protocol == "HTTPS" and self.tls is None:
            msg = "tls must be specified for protocol HTTPS"
            raise ValueError(msg)
        if self.protocol in {"TCP", "UDP"} and self.hostname:
            msg = f"hostname must not be specified for protocol {self.protocol}"
            raise ValueError(msg)
        return self


class GatewayAddress(Model):
    """GatewaySpecAddress."""

    type: Annotated[str, Field(min_length=1, max_length=253)] = "IPAddress"
    value: Annotated[str, Field(max_length=253)] | None = None


class Infrastructure(Model):
    """GatewayInfrastructure."""

    labels: Annotated[dict[str, str], Field(max_length=8)] = {}
    annotations: Annotated[dict[str, str], Field(max_length=8)] = {}
    parameters_ref: LocalObjectReference | None = None


class AllowedListeners(Model):
    """AllowedListeners."""

    namespaces: RouteNamespaces | None = None


class BackendTLS(Model):
    """GatewayBackendTLS."""

    client_certificate_ref: SecretObjectReference | None = None


class FrontendValidation(Model):
    """FrontendTLSValidation."""

    ca_certificate_refs: Annotated[list[ObjectReference], Field(min_length=1, max_length=8)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTLSConfig(Model):
    """TLSConfig of a frontend."""

    validation: FrontendValidation | None = None


class PortTLS(Model):
    """TLSPortConfig."""

    port: Port
    tls: FrontendTLSConfig


class FrontendTLS(Model):
    """FrontendTLSConfig."""

    default: FrontendTLSConfig
    per_port: Annotated[list[PortTLS], Field(max_length=64)] = []


class GatewayTLS(Model):
    """GatewayTLSConfig."""

    backend: BackendTLS | None = None
    frontend: FrontendTLS | None = None


class GatewaySpec(Model):
    """GatewaySpec."""

    gateway_class_name: ObjectName
    listeners: Annotated[list[Listener], Field(min_length=1, max_length=64)]
    addresses: Annotated[list[GatewayAddress], Field(max_length=16)] = []
    infrastructure: Infrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLS | None = None
    default_scope: Literal["All", "None"] | None = None

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [one.name for one in self.listeners]
        if len(set(names)) != len(names):
            msg = "Listener name must be unique within the Gateway"
            raise ValueError(msg)
        places = [(one.port, one.protocol, one.hostname or "") for one in self.listeners]
        if len(set(places)) != len(places):
            msg = "Combination of port, protocol and hostname must be unique for each listener"
            raise ValueError(msg)
        return self


class Gateway(Model):
    """A Gateway."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: GatewaySpec
