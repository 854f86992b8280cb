"""buffer: requests are taken in whole, up to a size, before a backend sees them; what is larger is answered 413."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from engine.models.policy import PolicyDisable
from engine.models.quantity import Quantity, number
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.traffic_block import TrafficBlock

_MOST: Final = 4 * 2**30
"""Bytes: Envoy counts in 32 bits."""


class Buffer(Ruled):
    """How much of a request is kept."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("maxRequestSize", "max_request_size"), ("disable", "disable")),
        Rule(
            "!has(self.maxRequestSize) || (type(self.maxRequestSize) == int "
            f"? self.maxRequestSize > 0 && self.maxRequestSize < {_MOST} "
            ": quantity(self.maxRequestSize).isGreaterThan(quantity('0')) && "
            "quantity(self.maxRequestSize).isLessThan(quantity('4Gi')))",
            "maxRequestSize must be greater than 0 and less than 4Gi",
            lambda self: self.max_request_size is None or 0 < number(self.max_request_size) < _MOST,
        ),
    )

    max_request_size: Annotated[Quantity, Field(description="The most bytes of a request's body.")] | None = None
    disable: PolicyDisable | None = None


BLOCK = TrafficBlock("buffer", Buffer)
