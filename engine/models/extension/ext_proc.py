"""extProc: a service that is sent parts of requests and responses, and may change them or answer itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import Span
from engine.models.extension_section import ExtensionSection
from engine.models.extension_service import GrpcService
from engine.models.processing_mode import ProcessingMode
from engine.models.texts import INT32


class Namespaces(Model):
    """MetadataNamespaces."""

    typed: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    untyped: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


class MetadataOptions(Model):
    """MetadataOptions."""

    forwarding: Annotated[Namespaces, Field(description="Dynamic metadata that the service is sent.")] | None = None


class Place(Model):
    """FilterStageSpec: where among the filters that a request passes."""

    stage: Literal["Fault", "AuthN", "AuthZ", "RateLimit", "Route"]
    predicate: Literal["Before", "During", "After"] = "During"
    weight: Annotated[
        int,
        Field(
            ge=-INT32 - 1,
            le=INT32,
            description="Of equal stage and predicate the higher comes first.",
            json_schema_extra={"format": "int32"},
        ),
    ] = 0


class ExtProc(Model):
    """ExtProcProvider."""

    grpc_service: Annotated[GrpcService, Field(description="Asked by envoy.service.ext_proc.v3.ExternalProcessor.")]
    fail_open: Annotated[bool, Field(description="Let requests pass while the service does not answer.")] = True
    processing_mode: ProcessingMode | None = None
    allow_processing_mode_override: bool = False
    allowed_processing_mode_overrides: tuple[ProcessingMode, ...] = ()
    message_timeout: Annotated[Span, Field(description="Of the answer to a message; 200ms without.")] | None = None
    max_message_timeout: Annotated[Span, Field(description="That the service may ask for.")] | None = None
    stat_prefix: Annotated[str, Field(min_length=1)] | None = None
    route_cache_action: Literal["FromResponse", "Clear", "Retain"] = "FromResponse"
    metadata_options: MetadataOptions | None = None
    request_attributes: tuple[str, ...] = ()
    filter_stage: Annotated[Place, Field(description="After AuthZ without.")] | None = None


SECTION = ExtensionSection("extProc", "ExtProc", ExtProc)
