"""extProc: a service that is sent parts of requests and responses, and may change them or answer itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.cel import expression_problem
from engine.models.duration import Span, milliseconds
from engine.models.extension_section import ExtensionSection
from engine.models.extension_service import GrpcService
from engine.models.processing_mode import ProcessingMode, mode_problems
from engine.models.rules import Rule, Ruled
from engine.models.texts import INT32

_LONGEST: Final = 3_600_000
"""Milliseconds: Envoy waits for no message longer."""


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


class ExtProc(Ruled):
    """ExtProcProvider."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

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

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Attributes are expressions of CEL, of which Envoy rejects all that they stand in for a bad one."""
        yield from mode_problems(self.processing_mode)
        for name, text in (("messageTimeout", self.message_timeout), ("maxMessageTimeout", self.max_message_timeout)):
            if (milliseconds(text) or 0) > _LONGEST:
                yield name, "must be at most 1h"
        for number, text in enumerate(self.request_attributes):
            if (problem := expression_problem(text)) is not None:
                yield f"requestAttributes[{number}]", f"{text[:64]!r} {problem}"


SECTION = ExtensionSection("extProc", "ExtProc", ExtProc)
