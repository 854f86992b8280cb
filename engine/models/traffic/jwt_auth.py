"""jwtAuth: a token is asked for, as a GatewayExtension says (RFC 7519)."""

from __future__ import annotations

from typing import ClassVar

from engine.models.extension_reference import ExtensionReference
from engine.models.policy import PolicyDisable
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.traffic_block import TrafficBlock


class JwtAuth(Ruled):
    """JWTAuth."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("extensionRef", "extension_ref"), ("disable", "disable")),)

    extension_ref: ExtensionReference | None = None
    disable: PolicyDisable | None = None


BLOCK = TrafficBlock("jwtAuth", JwtAuth)
