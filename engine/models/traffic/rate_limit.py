"""rateLimit: so many requests in a while and no more; those beyond are answered with 429."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import milliseconds
from engine.models.extension_reference import ExtensionReference
from engine.models.rules import Rule, Ruled, Rules
from engine.models.texts import INT32, Duration, is_token
from engine.models.traffic_block import TrafficBlock

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

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other name."""
        if self.header is not None and not is_token(self.header.removeprefix(":")):
            yield "header", f"{self.header[:64]!r} is no header name"


class Descriptor(Model):
    """RateLimitDescriptor."""

    entries: Annotated[tuple[Entry, ...], Field(min_length=1)]


class Global(Model):
    """RateLimitPolicy: a service is asked."""

    descriptors: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    extension_ref: ExtensionReference


class RateLimit(Model):
    """By each proxy alone, or by a service for all of them."""

    local: Annotated[Local, Field(description="Counted by each proxy.")] | None = None
    global_: Annotated[Global | None, Field(alias="global", description="Counted by a service.")] = None


BLOCK = TrafficBlock("rateLimit", RateLimit, units=("local", "global"))
