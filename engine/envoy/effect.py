"""What a policy changes in Envoy's config, as values; it knows no policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import FaultAbort, HttpFault
from envoy_data_plane.envoy.type.v3 import FractionalPercent
from envoy_data_plane.google.protobuf import Any as ProtoAny
from envoy_data_plane.google.protobuf import Struct

from engine.envoy.merge import merge_metadata
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.ref import Ref
from engine.resolve.credential import Credential
from engine.resolve.values import BackendKey, Problem, RouteEntry

MERGED: Final = "merge.TrafficPolicy.gateway.kgateway.dev"
"""Metadata of routes, virtual hosts and route configurations: whose block of each field is in force (kgateway's)."""
CLOSED: Final = "penstock.dev/closed"
"""The filter that answers 500 where a policy that guards cannot be met."""

Configs = Mapping[str, ProtoAny]
"""typed_per_filter_config: by filter name."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What blocks of policies change at one place.

    `configs` of filters hold for a route, a virtual host or a whole route configuration; `route` and `action` are
    fields of Route and RouteAction, for routes only, and what the route itself says comes before them; a field of Route
    may be a function of its RouteEntry. `sources` are the objects that it was made from, and `backends` the clusters
    that it needs, `credentials` the texts that it names. `sealed`: it must not leave in clear.
    """

    configs: tuple[tuple[str, ProtoAny], ...] = ()
    route: tuple[tuple[str, Any], ...] = ()
    action: tuple[tuple[str, Any], ...] = ()
    backends: tuple[BackendKey, ...] = ()
    sources: tuple[Ref, ...] = ()
    sealed: bool = False
    merged: tuple[tuple[str, Ref], ...] = ()
    """Whose block of each field it is; of several that are merged the first goes before the others."""
    around: tuple[str, ...] = ()
    """Filters whose config must stand at the route configuration around it, once for all that need it there."""
    problems: tuple[Problem, ...] = ()
    """What of it cannot be done, though the rest is."""
    against: Problem | None = None
    """Why requests must fail, whatever else is done."""
    credentials: tuple[Credential, ...] = ()


NOTHING: Final = Effect()


def both(effects: Iterable[Effect]) -> Effect:
    """All of them as one; of what two say, the later one's."""
    found = list(effects)
    return Effect(
        tuple(sorted({name: value for one in found for name, value in one.configs}.items())),
        tuple(sorted({name: value for one in found for name, value in one.route}.items())),
        tuple(sorted({name: value for one in found for name, value in one.action}.items())),
        tuple(dict.fromkeys(key for one in found for key in one.backends)),
        tuple(sorted({ref for one in found for ref in one.sources})),
        any(one.sealed for one in found),
        tuple(sorted((pair for one in found for pair in one.merged), key=lambda pair: pair[0])),
        tuple(sorted({name for one in found for name in one.around})),
        tuple(dict.fromkeys(problem for one in found for problem in one.problems)),
        next((one.against for one in found if one.against is not None), None),
        tuple(dict.fromkeys(key for one in found for key in one.credentials)),
    )


def of_route(effect: Effect, entry: RouteEntry) -> dict[str, Any]:
    """The fields of a route, those that are made of what the route is worked out."""
    return {name: value(entry) if callable(value) else value for name, value in effect.route}


def of_filter(name: str, type_name: str, message: Message, *, sealed: bool = False) -> Effect:
    """A filter's config; `type_name` such as "envoy.extensions.filters.http.buffer.v3.BufferPerRoute"."""
    return Effect(((name, packed(type_name, message)),), sealed=sealed)


def switched(*names: str, off: bool) -> Effect:
    """Filters switched on as they stand, or off."""
    # FilterConfig switches on by an empty config of the filter's own.
    message = construct(FilterConfig, disabled=True) if off else construct(FilterConfig, config=construct(ProtoAny))
    return Effect(tuple((name, packed("envoy.config.route.v3.FilterConfig", message)) for name in names))


def closed(*, off: bool = False) -> Effect:
    """Every request is answered with 500; `off`, it is not, whatever holds for what is around."""
    if off:
        return switched(CLOSED, off=True)
    whole = construct(FractionalPercent, numerator=100)
    fault = construct(HttpFault, abort=construct(FaultAbort, http_status=500, percentage=whole))
    return of_filter(CLOSED, "envoy.extensions.filters.http.fault.v3.HTTPFault", fault)


def named(effect: Effect, field: str, *policies: Ref) -> Effect:
    """The effect of a block, with whose it is."""
    merged = tuple((field, policy) for policy in policies)
    return replace(effect, sources=tuple(sorted({*policies, *effect.sources})), merged=merged)


def merged_metadata(effect: Effect) -> dict[str, Struct]:
    """Whose blocks are in force, as metadata."""
    if not effect.merged:
        return {}
    names: dict[str, tuple[Ref, ...]] = {}
    for field, ref in effect.merged:
        names[field] = (*names.get(field, ()), ref)
    return merge_metadata(MERGED, names)


def metadata(effect: Effect) -> Metadata | None:
    """The metadata of a place that has no other."""
    found = merged_metadata(effect)
    return construct(Metadata, filter_metadata=found) if found else None
