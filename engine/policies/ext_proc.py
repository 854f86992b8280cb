"""extProc: a service changes requests and responses on their way; a GatewayExtension says which, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExternalProcessor

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import NOTHING, Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.ext_proc import mode
from engine.policies.extension.sections import extended, unmet
from engine.policies.feature import Feature, Filter, Link, Stage, Use, When, is_off
from engine.resolve.extension import named_extension
from engine.resolve.manifest import mapping
from engine.resolve.values import Problem

INNER: Final = "envoy.filters.http.ext_proc"
"""In its chain."""
_TYPE: Final = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
_STAGES: Final = {
    "Fault": Stage.FAULT,
    "AuthN": Stage.AUTHN,
    "AuthZ": Stage.AUTHZ,
    "RateLimit": Stage.RATE_LIMIT,
    "Route": Stage.ROUTE,
}
_WHENS: Final = {"Before": When.BEFORE, "During": When.DURING, "After": When.AFTER}
_SHARED: Final = frozenset({*((stage, "During") for stage in _STAGES), ("AuthN", "Before"), ("Route", "Before")})
"""Where other filters stand, too, so that a weight says something; the weights of those are 0."""


def name_of(stage: str, predicate: str, weight: int) -> str:
    """The filter of that place, as it stands in listeners."""
    beside = ("" if weight == 0 else "/first" if weight > 0 else "/last") if (stage, predicate) in _SHARED else ""
    return f"ext_proc/{stage}/{predicate}{beside}"


def _standing() -> Iterator[Filter]:
    for stage, at in _STAGES.items():
        for predicate, when in _WHENS.items():
            for weight in (1, 0, -1) if (stage, predicate) in _SHARED else (0,):
                yield Filter(name_of(stage, predicate, weight), EMPTY_TYPE, EMPTY, at, when, weight)


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """ExternalProcessor, in the place that the extension names."""
    if is_off(value):
        return NOTHING
    found = extended(graph, use, value, "extProc")
    if isinstance(found, Problem):
        return unmet(graph, use, value, "extProc", found)
    fields = dict(found.fields)
    if value.get("processingMode") is not None:
        fields["processing_mode"] = mode(mapping(value.get("processingMode")))
    message = construct(ExternalProcessor, **fields)
    made = chained(name_of(*found.place), (INNER, _TYPE, message), sealed=found.sealed)
    return replace(made, backends=found.backends, sources=found.sources)


def link(graph: Reader, use: Use, value: Json) -> Link | None:
    """The service that is asked; weights count at one place, and at several nothing else does."""
    if is_off(value):
        return None
    found = extended(graph, use, value, "extProc")
    weight = 0 if isinstance(found, Problem) else found.place[2]
    return Link(named_extension(use.policy, mapping(value.get("extensionRef"))), weight)


FEATURE = Feature("extProc", effect, tuple(_standing()), alone=True, shuts=True, link=link)
