"""Tracing as kgateway's listener policies have it (HttpConnectionManager.Tracing)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from engine.models.access_log import GrpcService
from engine.models.base import Model
from engine.models.rules import Rule, Ruled
from engine.models.texts import is_token

_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
_Uint32 = Annotated[int, Field(ge=1, le=2**32 - 1, json_schema_extra={"format": "int64"})]
_Text = Annotated[str, Field(min_length=1)]


class Literal_(Model):  # noqa: N801  the field's own word is Python's
    """CustomAttributeLiteral."""

    value: _Text


class Environment(Model):
    """CustomAttributeEnvironment: of the proxy."""

    name: _Text
    default_value: str | None = None


class RequestHeader(Ruled):
    """CustomAttributeHeader."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    name: _Text
    default_value: str | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other name for a header."""
        if not is_token(self.name.removeprefix(":")):
            yield "name", f"{self.name[:64]!r} is no header name"


class PathSegment(Model):
    """MetadataPathSegment."""

    key: _Text


class MetadataKey(Model):
    """MetadataKey: a namespace of metadata, and the way within it."""

    key: _Text
    path: Annotated[tuple[PathSegment, ...], Field(min_length=1)]


class MetadataValue(Model):
    """CustomAttributeMetadata."""

    kind: Literal["Request", "Route", "Cluster", "Host"]
    metadata_key: MetadataKey
    default_value: str | None = None


class Attribute(Ruled):
    """CustomAttribute: what a span tells under a name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 2})
    RULES: ClassVar[tuple[Rule, ...]] = ()

    name: _Text
    literal: Literal_ | None = None
    environment: Environment | None = None
    request_header: RequestHeader | None = None
    metadata: MetadataValue | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes a tag with one value only."""
        given = [self.literal, self.environment, self.request_header, self.metadata]
        if sum(one is not None for one in given) != 1:
            yield "", "exactly one of literal, environment, requestHeader and metadata must be set"


class EnvironmentDetector(Model):
    """EnvironmentResourceDetectorConfig: resource attributes of OTEL_RESOURCE_ATTRIBUTES, as the proxy has it."""

    enable: bool | None = None


class ResourceDetector(Model):
    """ResourceDetector."""

    environment_resource_detector: EnvironmentDetector


class AlwaysOn(Model):
    """AlwaysOnConfig: nothing is to be said of it."""


class Sampler(Model):
    """Sampler."""

    always_on_config: AlwaysOn


class Telemetry(Model):
    """OpenTelemetryTracingConfig."""

    grpc_service: GrpcService
    service_name: str | None = None
    resource_detectors: tuple[ResourceDetector, ...] = ()
    sampler: Sampler | None = None


class Provider(Model):
    """TracingProvider."""

    open_telemetry: Telemetry


class Tracing(Model):
    """Tracing."""

    provider: Provider
    client_sampling: _Percent | None = None
    random_sampling: _Percent | None = None
    overall_sampling: _Percent | None = None
    verbose: bool | None = None
    max_path_tag_length: _Uint32 | None = None
    attributes: tuple[Attribute, ...] = ()
    spawn_upstream_span: bool | None = None
