"""Backend (gateway.kgateway.dev/v1alpha1): static hosts; the other types are recognised, so that they can be told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.models.base import Json, Metadata, Model, Port

_TYPES = ("aws", "static", "dynamic_forward_proxy", "gcp", "priority_groups")


class Host(Model):
    """Host of a static backend: an address or a name that Envoy resolves."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Port


class StaticBackend(Model):
    """StaticBackend."""

    hosts: Annotated[list[Host], Field(min_length=1)]
    app_protocol: Literal["http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"] | None = None


class BackendSpec(Model):
    """BackendSpec: exactly one type."""

    type: Literal["AWS", "Static", "DynamicForwardProxy", "GCP", "PriorityGroups"] | None = None
    static: StaticBackend | None = None
    aws: Json | None = None
    dynamic_forward_proxy: Json | None = None
    gcp: Json | None = None
    priority_groups: list[Json] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, name) is not None for name in _TYPES) != 1:
            msg = "exactly one of aws, static, dynamicForwardProxy, gcp and priorityGroups must be set"
            raise ValueError(msg)
        return self


class Backend(Model):
    """A Backend."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: BackendSpec
