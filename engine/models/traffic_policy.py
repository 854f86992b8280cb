"""TrafficPolicy (gateway.kgateway.dev/v1alpha1): its targets here, each other field of its spec in `traffic`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, create_model

import engine.models.traffic
from engine.models.base import Object
from engine.models.kind import Kind
from engine.models.policy import GATEWAY_API, GROUP, POLICY_RESOURCE, SectionReference, SectionSelector, named_kinds
from engine.models.rules import Rule, Ruled
from engine.models.traffic_block import TrafficBlock
from engine.presence import modules, told_apart

_KINDS: Final = named_kinds(*((GATEWAY_API, kind) for kind in ("Gateway", "HTTPRoute", "GRPCRoute", "ListenerSet")))


def _blocks() -> dict[str, TrafficBlock]:
    blocks = [module.BLOCK for module in modules(engine.models.traffic)]
    return told_apart(sorted(blocks, key=lambda one: one.field), lambda one: one.field)


BLOCKS: Final = _blocks()
"""The fields of the spec but its targets: the `BLOCK` of each file in `traffic`, and the only list of them."""

UNITS: Final = {one.field: one.units for one in BLOCKS.values() if one.units}
"""Of fields whose parts are in force each by itself, the names of these."""


class _Targets(Ruled):
    """What a TrafficPolicy concerns."""

    RULES: ClassVar[tuple[Rule, ...]] = tuple(rule for block in BLOCKS.values() for rule in block.rules)

    target_refs: Annotated[
        tuple[SectionReference, ...],
        Field(min_length=1, max_length=16, description="Objects of the policy's namespace, or sections of them."),
        _KINDS,
    ] = ()
    target_selectors: Annotated[tuple[SectionSelector, ...], _KINDS] = ()


def _attribute(field: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in field)


_FIELDS: Final[dict[str, Any]] = {
    _attribute(one.field): (Annotated[one.model | None, Field(alias=one.field)], None) for one in BLOCKS.values()
}
TrafficPolicySpec = create_model("TrafficPolicySpec", __base__=_Targets, __doc__="TrafficPolicySpec.", **_FIELDS)


class TrafficPolicy(Object):
    """What is done to requests on their way: at a Gateway, a listener, a route or a rule of it."""

    spec: TrafficPolicySpec


KINDS = (
    Kind(GROUP, "TrafficPolicy", "trafficpolicies", ("v1alpha1",), TrafficPolicy, crd=POLICY_RESOURCE, guards=True),
)
