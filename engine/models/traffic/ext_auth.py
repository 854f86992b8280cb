"""extAuth: a service says of each request whether it may pass; a GatewayExtension says which."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.extension_reference import ExtensionReference
from engine.models.policy import PolicyDisable
from engine.models.request_body import RequestBody
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.traffic_block import TrafficBlock


class ExtAuth(Ruled):
    """ExtAuthPolicy."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("extensionRef", "extension_ref"), ("disable", "disable")),)

    extension_ref: Annotated[ExtensionReference, Field(description="A GatewayExtension with extAuth.")] | None = None
    with_request_body: Annotated[RequestBody, Field(description="In place of the extension's.")] | None = None
    context_extensions: Annotated[
        dict[str, str], Field(description="What the service is told beside the request.")
    ] = {}
    disable: PolicyDisable | None = None


BLOCK = TrafficBlock("extAuth", ExtAuth)
