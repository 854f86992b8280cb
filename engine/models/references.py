"""References between objects, as the Gateway API spells them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from engine.models.base import Model
from engine.models.rules import Rule, Ruled
from engine.models.texts import Group, Kind, Namespace, ObjectName, Port, SectionName

_GATEWAY_API: Final = "gateway.networking.k8s.io"

SERVICE_PORT: Final = Rule(
    "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
    "Must have port for Service reference",
    lambda self: self.port is not None or bool(self.group) or self.kind != "Service",
)


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


class BackendObjectReference(Ruled):
    """BackendObjectReference: a Service needs a port."""

    RULES: ClassVar[tuple[Rule, ...]] = (SERVICE_PORT,)

    group: Group = ""
    kind: Kind = "Service"
    name: ObjectName
    namespace: Namespace | None = None
    port: Port | None = None


class WeightedBackendRef(BackendObjectReference):
    """BackendRef."""

    weight: Annotated[int, Field(ge=0, le=1_000_000, json_schema_extra={"format": "int32"})] = 1


class LabelSelectorRequirement(Ruled):
    """LabelSelectorRequirement of meta/v1."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """What a CRD's schema leaves open, and meta/v1 does not."""
        if self.operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            return (("operator", f"{self.operator!r} is not one of 'In', 'NotIn', 'Exists', 'DoesNotExist'"),)
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            must = "must" if self.operator in ("In", "NotIn") else "must not"
            return (("values", f"{must} be given with operator {self.operator}"),)
        return ()


class LabelSelector(Model):
    """LabelSelector of meta/v1."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
