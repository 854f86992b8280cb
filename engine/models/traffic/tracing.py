"""tracing: which requests of a route are traced, and what their spans tell."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.policy import PolicyDisable
from engine.models.rules import Rule, Ruled
from engine.models.target_rule import only_for
from engine.models.tracing import Attribute
from engine.models.traffic_block import TrafficBlock

_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
_OTHERS = ("client_sampling", "random_sampling", "overall_sampling", "attributes")


class RouteTracing(Ruled):
    """RouteTracing: where the listener's requests are traced."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.disable) || !(has(self.clientSampling) || has(self.randomSampling) ||"
            " has(self.overallSampling) || has(self.attributes))",
            "disable excludes all other fields",
            lambda self: self.disable is None or all(getattr(self, one) is None for one in _OTHERS),
        ),
    )

    client_sampling: Annotated[_Percent, Field(description="Of requests whose client asks for it.")] | None = None
    random_sampling: Annotated[_Percent, Field(description="Of all others.")] | None = None
    overall_sampling: Annotated[_Percent, Field(description="Of all these together.")] | None = None
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=16)] | None = None
    disable: PolicyDisable | None = None


BLOCK = TrafficBlock("tracing", RouteTracing, (only_for("tracing", "tracing", "HTTPRoute", "GRPCRoute"),))
