"""The services that GatewayExtensions name: whom the proxies call, and how (ExtGrpcService, ExtSvcRetryPolicy)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import Span, milliseconds
from engine.models.references import WeightedBackendRef
from engine.models.rules import Rule, Ruled
from engine.models.texts import INT32, has_control_characters

GROWS: Final = Rule(
    "has(self.maxInterval) ? duration(self.maxInterval) >= duration(self.baseInterval) : true",
    "maxInterval must be greater than or equal to baseInterval",
    lambda self: (
        self.max_interval is None or (milliseconds(self.max_interval) or 0) >= (milliseconds(self.base_interval) or 0)
    ),
)
"""Of the pauses between calls."""


class Backoff(Ruled):
    """RetryBackoff: how long is waited before a call is made again."""

    RULES: ClassVar[tuple[Rule, ...]] = (GROWS,)

    base_interval: Annotated[Span, Field(description="At first; it doubles with each time.")]
    max_interval: Annotated[Span, Field(description="At most; ten times baseInterval without.")] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no pause that is none."""
        if not milliseconds(self.base_interval):
            yield "baseInterval", "must be at least 1ms"


class ServiceRetry(Model):
    """ExtSvcRetryPolicy."""

    attempts: Annotated[
        int,
        Field(
            ge=0, le=INT32, description="Calls that are made after the first.", json_schema_extra={"format": "int32"}
        ),
    ] = 1
    backoff: Backoff | None = None


class GrpcService(Ruled):
    """ExtGrpcService."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    backend_ref: WeightedBackendRef
    authority: Annotated[str, Field(description="The call's :authority; the cluster's name without.")] | None = None
    request_timeout: Annotated[Span, Field(description="Of a call.")] | None = None
    retry: ServiceRetry | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no such header."""
        if self.authority and has_control_characters(self.authority):
            yield "authority", "cannot contain control characters"
