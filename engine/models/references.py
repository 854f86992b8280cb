"""References between objects, as the Gateway API spells them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from engine.models.base import Group, Kind, Model, Namespace, ObjectName, Port, SectionName

_GATEWAY_API = "gateway.networking.k8s.io"


class ParentReference(Model):
    """ParentReference of the Gateway API."""

    group: Group = _GATEWAY_API
    kind: Kind = "Gateway"
    namespace: Namespace | None = None
    name: ObjectName
    section_name: SectionName | None = None
    port: Port | None = None


class SecretObjectReference(Model):
    """SecretObjectReference of the Gateway API."""

    group: Group = ""
    kind: Kind = "Secret"
    name: ObjectName
    namespace: Namespace | None = None


class ObjectReference(Model):
    """ObjectReference of the Gateway API: group and kind must be given."""

    group: Group
    kind: Kind
    name: ObjectName
    namespace: Namespace | None = None


class LocalObjectReference(Model):
    """LocalObjectReference of the Gateway API."""

    group: Group
    kind: Kind
    name: ObjectName


class ParametersReference(Model):
    """ParametersReference of a GatewayClass."""

    group: Group
    kind: Kind
    name: ObjectName
    namespace: Namespace | None = None


class BackendObjectReference(Model):
    """BackendObjectReference: a Service needs a port."""

    group: Group = ""
    kind: Kind = "Service"
    name: ObjectName
    namespace: Namespace | None = None
    port: Port | None = None

    @model_validator(mode="after")
    def _service_port(self) -> Self:
        if not self.group and self.kind == "Service" and self.port is None:
            msg = "must have port for Service reference"
            raise ValueError(msg)
        return self


class LabelSelectorRequirement(Model):
    """LabelSelectorRequirement of meta/v1."""

    key: str
    operator: str = Field(pattern="^(In|NotIn|Exists|DoesNotExist)$")
    values: list[str] = []


class LabelSelector(Model):
    """LabelSelector of meta/v1."""

    match_labels: dict[str, str] = {}
    match_expressions: list[LabelSelectorRequirement] = []
