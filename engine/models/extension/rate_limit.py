"""rateLimit: a service that counts requests for all proxies, by what it is told of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import Span
from engine.models.extension_section import ExtensionSection
from engine.models.extension_service import GrpcService


class RateLimit(Model):
    """RateLimitProvider."""

    grpc_service: Annotated[GrpcService, Field(description="Asked by envoy.service.ratelimit.v3.RateLimitService.")]
    domain: Annotated[str, Field(description="Which of the service's limits are meant.")]
    fail_open: Annotated[bool, Field(description="Let requests pass while the service does not answer.")] = True
    timeout: Annotated[Span, Field(description="Of a call.")] = "100ms"
    x_rate_limit_headers: Annotated[
        Literal["Off", "DraftVersion03"],
        Field(alias="xRateLimitHeaders", description="Whether clients are told by X-RateLimit headers."),
    ] = "Off"


SECTION = ExtensionSection("rateLimit", "RateLimit", RateLimit)
