"""ReferenceGrant (gateway.networking.k8s.io/v1)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.kind import Kind as ResourceKind
from engine.models.texts import Group, Kind, Namespace, ObjectName


class GrantFrom(Model):
    """ReferenceGrantFrom."""

    group: Group
    kind: Kind
    namespace: Namespace


class GrantTo(Model):
    """ReferenceGrantTo."""

    group: Group
    kind: Kind
    name: ObjectName | None = None


class ReferenceGrantSpec(Model):
    """ReferenceGrantSpec."""

    from_: Annotated[tuple[GrantFrom, ...], Field(alias="from", min_length=1, max_length=16)]
    to: Annotated[tuple[GrantTo, ...], Field(min_length=1, max_length=16)]


class ReferenceGrant(Object):
    """A ReferenceGrant."""

    spec: ReferenceGrantSpec


KINDS = (
    ResourceKind(
        "gateway.networking.k8s.io",
        "ReferenceGrant",
        "referencegrants",
        ("v1", "v1beta1"),
        ReferenceGrant,
        ("refgrant",),
    ),
)
