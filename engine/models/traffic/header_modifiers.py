"""headerModifiers: headers that are set, added and removed, of requests and of responses."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.header_filter import HeaderFilter
from engine.models.rules import Rule, Ruled, at_least_one
from engine.models.traffic_block import TrafficBlock


class HeaderModifiers(Ruled):
    """Changes of headers on the way to the backend, and back."""

    RULES: ClassVar[tuple[Rule, ...]] = (at_least_one(("request", "request"), ("response", "response")),)

    request: Annotated[HeaderFilter, Field(description="Of requests.")] | None = None
    response: Annotated[HeaderFilter, Field(description="Of responses.")] | None = None


BLOCK = TrafficBlock("headerModifiers", HeaderModifiers)
