"""buffer: requests are taken in whole, up to a size, before a backend sees them; what is larger is answered 413."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer as BufferMessage
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import BufferPerRoute

from engine.envoy.effect import Effect, of_filter
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.quantity import number
from engine.policies.feature import Feature, Filter, Stage, Use, When, is_off

NAME: Final = "envoy.filters.http.buffer"
_TYPE: Final = "envoy.extensions.filters.http.buffer.v3"


_MOST: Final = 4 * 2**30
"""Bytes: Envoy counts in 32 bits."""


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """BufferPerRoute."""
    if is_off(value):
        return of_filter(NAME, f"{_TYPE}.BufferPerRoute", construct(BufferPerRoute, disabled=True))
    size = int(number(value["maxRequestSize"]))
    message = construct(BufferPerRoute, buffer=construct(BufferMessage, max_request_bytes=size))
    return of_filter(NAME, f"{_TYPE}.BufferPerRoute", message)


FEATURE = Feature(
    "buffer",
    effect,
    # Of this size Envoy never sees one: the filter stands there to be given another.
    (Filter(NAME, f"{_TYPE}.Buffer", construct(BufferMessage, max_request_bytes=_MOST - 1), Stage.ROUTE, When.BEFORE),),
)
