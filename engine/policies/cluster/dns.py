"""`dns`: how Envoy resolves the names of hosts; nothing where it resolves none."""

from __future__ import annotations

from typing import Final

from engine.envoy.shape import Shape
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span
from engine.resolve.values import Problem


def _shape(block: Json, use: Use) -> Shape | Problem:
    if use.finds_hosts:
        return Problem("Invalid", "the backend's cluster resolves the names that requests give it in its own way")
    if not use.whole.dns:
        return Shape()
    return Shape(
        dns=given(
            dns_refresh_rate=span(block, "refreshRate"),
            dns_jitter=span(block, "jitter"),
            respect_dns_ttl=block.get("respectTTL"),
        )
    )


FEATURE: Final = Feature("dns", _shape)
