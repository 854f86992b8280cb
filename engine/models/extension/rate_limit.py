"""rateLimit: a service that counts requests for all proxies, by what it is told of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.models.duration import Span
from engine.models.extension_section import ExtensionSection
from engine.models.extension_service import GrpcService
from engine.models.rules import Rule, Ruled


class RateLimit(Ruled):
    """RateLimitProvider."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    grpc_service: Annotated[GrpcService, Field(description="Asked by envoy.service.ratelimit.v3.RateLimitService.")]
    domain: Annotated[str, Field(description="Which of the service's limits are meant.")]
    fail_open: Annotated[bool, Field(description="Let requests pass while the service does not answer.")] = True
    timeout: Annotated[Span, Field(description="Of a call.")] = "100ms"
    x_rate_limit_headers: Annotated[
        Literal["Off", "DraftVersion03"],
        Field(alias="xRateLimitHeaders", description="Whether clients are told by X-RateLimit headers."),
    ] = "Off"

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy asks for no limits of nowhere."""
        if not self.domain:
            yield "domain", "cannot be empty"


SECTION = ExtensionSection("rateLimit", "RateLimit", RateLimit)
