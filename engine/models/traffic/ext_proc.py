"""extProc: a service changes requests and responses on their way; a GatewayExtension says which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.extension_reference import ExtensionReference
from engine.models.policy import PolicyDisable
from engine.models.processing_mode import ProcessingMode, mode_problems
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.traffic_block import TrafficBlock


class ExtProc(Ruled):
    """ExtProcPolicy."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("extensionRef", "extension_ref"), ("disable", "disable")),)

    extension_ref: Annotated[ExtensionReference, Field(description="A GatewayExtension with extProc.")] | None = None
    processing_mode: Annotated[ProcessingMode, Field(description="In place of the extension's.")] | None = None
    disable: PolicyDisable | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy does not take everything together."""
        yield from mode_problems(self.processing_mode)


BLOCK = TrafficBlock("extProc", ExtProc)
