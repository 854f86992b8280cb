"""ListenerSet (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.gateway import Listener, listener_rules
from engine.models.kind import Kind as ResourceKind
from engine.models.rules import ListMap
from engine.models.texts import Group, Kind, Namespace, ObjectName


class ParentGatewayReference(Model):
    """ParentGatewayReference."""

    group: Group = "gateway.networking.k8s.io"
    kind: Kind = "Gateway"
    name: ObjectName
    namespace: Namespace | None = None


class ListenerSetSpec(Model):
    """ListenerSetSpec."""

    parent_ref: ParentGatewayReference
    listeners: Annotated[
        tuple[Listener, ...],
        Field(min_length=1, max_length=64),
        listener_rules("!has(l1.port) || self.exists_one(l2, has(l2.port) && "),
        ListMap("name"),
    ]


class ListenerSet(Object):
    """A ListenerSet."""

    spec: ListenerSetSpec


KINDS = (ResourceKind("gateway.networking.k8s.io", "ListenerSet", "listenersets", ("v1",), ListenerSet, ("lset",)),)
