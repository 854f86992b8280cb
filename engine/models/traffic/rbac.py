"""rbac: which requests are let through, by conditions in CEL."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.traffic_block import TrafficBlock

_Expression = Annotated[str, Field(min_length=1, max_length=16384)]


class Conditions(Model):
    """AuthorizationPolicy."""

    match_expressions: Annotated[
        tuple[_Expression, ...],
        Field(description="Conditions in CEL over Envoy's attributes; one that holds is enough."),
    ]


class Authorization(Model):
    """Authorization: what is done to requests of which a condition holds; to others the opposite is."""

    policy: Conditions
    action: Literal["Allow", "Deny"] = "Allow"


BLOCK = TrafficBlock("rbac", Authorization)
