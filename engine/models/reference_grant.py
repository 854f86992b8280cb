"""ReferenceGrant (gateway.networking.k8s.io/v1)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.models.base import Group, Kind, Metadata, Model, Namespace, ObjectName


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

    from_: Annotated[list[GrantFrom], Field(alias="from", min_length=1, max_length=16)]
    to: Annotated[list[GrantTo], Field(min_length=1, max_length=16)]


class ReferenceGrant(Model):
    """A ReferenceGrant."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: ReferenceGrantSpec
