"""A filter whose whole config comes with a policy: in a filter chain of its own, empty where it stands.

Envoy has no config of a route's own for most of what a GatewayExtension says, and a listener must not change with it
(docs/decisions/0033-filters-of-extensions.md). So a filter_chain filter stands in the listener, and routes, virtual
hosts and route configurations bring what is in it. It knows no policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.filters.http.filter_chain.v3 import (
    FilterChain,
    FilterChainConfig,
    FilterChainConfigPerRoute,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.effect import Effect, both, of_filter
from engine.envoy.typed import extension, packed, unpacked
from engine.envoy.wire import construct

_TYPE: Final = "envoy.extensions.filters.http.filter_chain.v3"
_PER_ROUTE: Final = f"{_TYPE}.FilterChainConfigPerRoute"
EMPTY_TYPE: Final = f"{_TYPE}.FilterChainConfig"
EMPTY: Final = construct(FilterChainConfig)
"""What stands in the listener: type and config."""


def chained(name: str, *filters: tuple[str, str, Message], sealed: bool = False) -> Effect:
    """The filters, (name, type name, config) each, in the chain that stands as `name`; in order, one after the other.

    Where a nearer place has a filter of a name that a farther one has too, only the nearer runs: of what is to give
    way the name must be constant. A config of the filter's own for a place stands beside, by that name.
    """
    inside = [extension(one, type_name, message) for one, type_name, message in filters]
    return of_filter(name, _PER_ROUTE, _holding(inside), sealed=sealed)


def joined(effects: Sequence[tuple[str, Effect]]) -> Effect:
    """Those of several blocks as one: of a chain the filters of all, in order, each with its label in its name.

    A label says what the filter is of, wherever it stands: what is said beside a filter Envoy joins by name over all
    places. So the name of a farther one that stands alone is that of none here: the first of a chain does nothing.
    """
    chains: dict[str, list[TypedExtensionConfig]] = {}
    others = []
    for label, effect in effects:
        mine = dict(_chains(effect))
        known = {one.name: f"{one.name}/{label}" for held in mine.values() for one in held}
        for name, held in mine.items():
            chains.setdefault(name, [_nothing(held[0].name)]).extend(
                construct(TypedExtensionConfig, name=known[one.name], typed_config=one.typed_config) for one in held
            )
        beside = tuple((known.get(name, name), config) for name, config in effect.configs if name not in mine)
        others.append(replace(effect, configs=beside))
    made = tuple((name, packed(_PER_ROUTE, _holding(held))) for name, held in chains.items())
    return both((*others, Effect(made)))


def further(effect: Effect) -> Iterator[tuple[str, str]]:
    """(chain, filter) of those that stand behind the first of a chain."""
    return ((name, one.name) for name, held in _chains(effect) for one in held[1:])


def covering(effect: Effect, farther: Iterable[tuple[str, str]]) -> Effect:
    """Also what keeps out the filters of farther places: Envoy runs those of which no nearer chain has the name."""
    left: dict[str, set[str]] = {}
    for chain, name in farther:
        left.setdefault(chain, set()).add(name)
    configs: dict[str, ProtoAny] = {}
    for name, held in _chains(effect):
        missing = left.get(name, set()) - {one.name for one in held}
        if missing:
            configs[name] = packed(_PER_ROUTE, _holding([*held, *(_nothing(one) for one in sorted(missing))]))
    return (
        replace(effect, configs=tuple((name, configs.get(name, one)) for name, one in effect.configs))
        if configs
        else effect
    )


def _nothing(name: str) -> TypedExtensionConfig:
    return extension(name, "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", construct(HeaderMutation))


def _holding(inside: list[TypedExtensionConfig]) -> FilterChainConfigPerRoute:
    return construct(FilterChainConfigPerRoute, filter_chain=construct(FilterChain, filters=inside))


def _chains(effect: Effect) -> Iterator[tuple[str, list[TypedExtensionConfig]]]:
    for name, config in effect.configs:
        message = unpacked(config)
        if isinstance(message, FilterChainConfigPerRoute) and message.filter_chain is not None:
            yield name, message.filter_chain.filters
