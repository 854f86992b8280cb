"""acl: which clients are let through, by their addresses."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.rules import Rule, Ruled, at_least_one
from engine.models.traffic_block import TrafficBlock

_Action = Literal["allow", "deny"]
_Name = Annotated[str, Field(min_length=1, max_length=256)]


class AclRule(Model):
    """ACLRule: of all addresses that a client's is within the narrowest range counts."""

    name: Annotated[str, Field(max_length=256, description="As which it is told of whom it denies.")] | None = None
    cidrs: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(min_length=1, max_length=256, description="Ranges as 10.0.0.0/8, or addresses."),
    ]
    action: _Action


class ResponseHeader(Model):
    """ACLResponseHeader."""

    name: _Name
    value: Annotated[str, Field(max_length=4096)]


class DenyResponse(Ruled):
    """ACLDenyResponse: what is answered to whom is denied."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_least_one(
            ("statusCode", "status_code"), ("headers", "headers"), ("blockedByHeaderName", "blocked_by_header_name")
        ),
    )

    status_code: Annotated[int, Field(ge=100, le=599, json_schema_extra={"format": "int32"})] | None = None
    headers: Annotated[tuple[ResponseHeader, ...], Field(max_length=16)] | None = None
    blocked_by_header_name: Annotated[_Name, Field(description="A header that tells which rule it was.")] | None = None


class Acl(Model):
    """ACLPolicy."""

    default_action: _Action
    rules: Annotated[tuple[AclRule, ...], Field(max_length=256)] = ()
    deny_response: DenyResponse | None = None


BLOCK = TrafficBlock("acl", Acl)
