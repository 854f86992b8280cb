"""csrf: requests that change something must come from the site that they go to, by their Origin or Referer header."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.rules import Rule, Ruled, at_most_one
from engine.models.string_matcher import StringMatcher as Matcher
from engine.models.traffic_block import TrafficBlock

_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]


class Csrf(Ruled):
    """CSRFPolicy."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_most_one(
            ("percentageEnabled", "percentage_enabled"),
            ("percentageShadowed", "percentage_shadowed"),
        ),
    )

    percentage_enabled: (
        Annotated[_Percent, Field(description="Of requests that are held to it; none without.")] | None
    ) = None
    percentage_shadowed: Annotated[_Percent, Field(description="Of requests that are counted only.")] | None = None
    additional_origins: Annotated[
        tuple[Matcher, ...], Field(max_length=16, description="Hosts, with port, that may ask beside the site itself.")
    ] = ()


BLOCK = TrafficBlock("csrf", Csrf)
