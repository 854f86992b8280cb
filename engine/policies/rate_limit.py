"""rateLimit: so many requests in a while and no more; those beyond are answered with 429."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from envoy_data_plane.envoy.config.core.v3 import RuntimeFractionalPercent
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.type.v3 import FractionalPercent, TokenBucket
from pydantic import Field

from engine.envoy.effect import NOTHING, Effect, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.base import Model
from engine.models.duration import milliseconds
from engine.models.rules import Rule, Ruled, Rules
from engine.models.texts import INT32, Duration, Namespace, ObjectName
from engine.policies.feature import Feature, Filter, Stage, Use, When
from engine.resolve.manifest import mapping
from engine.resolve.values import Problem

NAME: Final = "ratelimit/local"
_TYPE: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_STATS: Final = "http_local_rate_limiter"
_INT32: Final = {"format": "int32"}
_SHORTEST: Final = 50
"""Milliseconds: Envoy fills no faster."""
_Count = Annotated[int, Field(ge=1, le=INT32, json_schema_extra=_INT32)]
_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra=_INT32)]
_INTERVAL: Final = Rules(
    (
        Rule(
            "duration(self) >= duration('50ms')",
            "fillInterval must be at least 50ms",
            lambda self: (milliseconds(self) or 0) >= _SHORTEST,
        ),
    )
)


class Bucket(Model):
    """TokenBucket: each request takes a token."""

    max_tokens: Annotated[_Count, Field(description="That it holds, and has at first.")]
    tokens_per_fill: _Count = 1
    fill_interval: Annotated[Duration, _INTERVAL]


class Local(Model):
    """LocalRateLimitPolicy; empty, no limit holds."""

    token_bucket: Annotated[Bucket, Field(description="Of each proxy.")] | None = None
    percent_enabled: Annotated[_Percent, Field(description="Of requests that are counted; all without.")] | None = None
    percent_enforced: (
        Annotated[_Percent, Field(description="Of those beyond the limit that are refused; all without.")] | None
    ) = None


class Generic(Model):
    """RateLimitDescriptorEntryGeneric."""

    key: Annotated[str, Field(min_length=1)]
    value: Annotated[str, Field(min_length=1)]


def _entry(kind: str, *, generic: bool = False, header: bool = False) -> str:
    has = (f"{'' if generic else '!'}has(self.generic)", f"{'' if header else '!'}has(self.header)")
    return f"(self.type == '{kind}' && {' && '.join(has)})"


class Entry(Ruled):
    """RateLimitDescriptorEntry."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            " || ".join(
                (
                    _entry("Generic", generic=True),
                    _entry("Header", header=True),
                    _entry("RemoteAddress"),
                    _entry("Path"),
                )
            ),
            "exactly one entry type must be specified",
            lambda self: (
                (self.generic is not None, self.header is not None) == (self.type == "Generic", self.type == "Header")
            ),
        ),
    )

    type: Literal["Generic", "Header", "RemoteAddress", "Path"]
    generic: Generic | None = None
    header: Annotated[str, Field(min_length=1)] | None = None


class Descriptor(Model):
    """RateLimitDescriptor."""

    entries: Annotated[tuple[Entry, ...], Field(min_length=1)]


class ExtensionReference(Model):
    """NamespacedObjectReference."""

    name: ObjectName
    namespace: Namespace | None = None


class Global(Model):
    """RateLimitPolicy: a service is asked."""

    descriptors: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    extension_ref: ExtensionReference


class RateLimit(Model):
    """By each proxy alone, or by a service for all of them."""

    local: Annotated[Local, Field(description="Counted by each proxy.")] | None = None
    global_: Annotated[Global | None, Field(alias="global", description="Counted by a service.")] = None


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:  # noqa: ARG001  a feature's signature
    """LocalRateLimit."""
    if value.get("global") is not None:
        return Problem("Invalid", "global is not served yet: remove it; local alone is served")
    if value.get("local") is None:
        return NOTHING
    asked = mapping(value.get("local"))
    bucket = mapping(asked.get("tokenBucket"))
    if not bucket:
        return switched(NAME, off=True)
    limit = construct(
        LocalRateLimit,
        stat_prefix=_STATS,
        token_bucket=construct(
            TokenBucket,
            max_tokens=int(bucket["maxTokens"]),
            tokens_per_fill=int(bucket.get("tokensPerFill") or 1),
            fill_interval=timedelta(milliseconds=milliseconds(bucket.get("fillInterval")) or 0),
        ),
        filter_enabled=_percent("local_rate_limit_enabled", asked.get("percentEnabled")),
        filter_enforced=_percent("local_rate_limit_enforced", asked.get("percentEnforced")),
    )
    return of_filter(NAME, _TYPE, limit)


def _percent(key: str, wanted: object) -> RuntimeFractionalPercent:
    numerator = wanted if isinstance(wanted, int) else 100
    return construct(
        RuntimeFractionalPercent, default_value=construct(FractionalPercent, numerator=numerator), runtime_key=key
    )


FEATURE = Feature(
    "rateLimit",
    RateLimit,
    effect,
    (Filter(NAME, _TYPE, construct(LocalRateLimit, stat_prefix=_STATS), Stage.ACCEPTED, When.BEFORE),),
)
