"""A filter whose whole config comes with a policy: in a filter chain of its own, empty where it stands.

Envoy has no config of a route's own for most of what a GatewayExtension says, and a listener must not change with it
(docs/decisions/0033-filters-of-extensions.md). So a filter_chain filter stands in the listener, and routes, virtual
hosts and route configurations bring what is in it.
"""

from __future__ import annotations

from typing import Final

from betterproto2 import Message
from envoy_data_plane.envoy.extensions.filters.http.filter_chain.v3 import (
    FilterChain,
    FilterChainConfig,
    FilterChainConfigPerRoute,
)

from engine.envoy.effect import Effect, of_filter
from engine.envoy.typed import extension
from engine.envoy.wire import construct

_TYPE: Final = "envoy.extensions.filters.http.filter_chain.v3"
EMPTY_TYPE: Final = f"{_TYPE}.FilterChainConfig"
EMPTY: Final = construct(FilterChainConfig)
"""What stands in the listener: type and config."""


def chained(name: str, *filters: tuple[str, str, Message], sealed: bool = False) -> Effect:
    """The filters, (name, type name, config) each, in the chain that stands as `name`; in order, one after the other.

    Where a nearer place has a filter of a name that a farther one has too, only the nearer runs: of what is to give
    way the name must be constant. A config of the filter's own for a place stands beside, by that name.
    """
    inside = [extension(one, type_name, message) for one, type_name, message in filters]
    message = construct(FilterChainConfigPerRoute, filter_chain=construct(FilterChain, filters=inside))
    return of_filter(name, f"{_TYPE}.FilterChainConfigPerRoute", message, sealed=sealed)
