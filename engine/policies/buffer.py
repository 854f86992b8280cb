"""buffer: requests are taken in whole, up to a size, before a backend sees them; what is larger is answered 413."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer as BufferMessage
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import BufferPerRoute
from pydantic import Field

from engine.envoy.effect import Effect, of_filter
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.policy import PolicyDisable
from engine.models.quantity import Quantity, number
from engine.models.rules import Rule, Ruled, exactly_one
from engine.policies.feature import Feature, Filter, Stage, Use, When, is_off

NAME: Final = "envoy.filters.http.buffer"
_TYPE: Final = "envoy.extensions.filters.http.buffer.v3"
_MOST: Final = 4 * 2**30
"""Bytes: Envoy counts in 32 bits."""


class Buffer(Ruled):
    """How much of a request is kept."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("maxRequestSize", "max_request_size"), ("disable", "disable")),
        Rule(
            "!has(self.maxRequestSize) || (quantity(self.maxRequestSize).isGreaterThan(quantity('0')) && "
            "quantity(self.maxRequestSize).isLessThan(quantity('4Gi')))",
            "maxRequestSize must be greater than 0 and less than 4Gi",
            lambda self: self.max_request_size is None or 0 < number(self.max_request_size) < _MOST,
        ),
    )

    max_request_size: Annotated[Quantity, Field(description="The most bytes of a request's body.")] | None = None
    disable: PolicyDisable | None = None


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """BufferPerRoute."""
    if is_off(value):
        return of_filter(NAME, f"{_TYPE}.BufferPerRoute", construct(BufferPerRoute, disabled=True))
    size = int(number(value["maxRequestSize"]))
    message = construct(BufferPerRoute, buffer=construct(BufferMessage, max_request_bytes=size))
    return of_filter(NAME, f"{_TYPE}.BufferPerRoute", message)


FEATURE = Feature(
    "buffer",
    Buffer,
    effect,
    # Of this size Envoy never sees one: the filter stands there to be given another.
    (Filter(NAME, f"{_TYPE}.Buffer", construct(BufferMessage, max_request_bytes=_MOST - 1), Stage.ROUTE, When.BEFORE),),
)
