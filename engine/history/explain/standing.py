"""The filters that a request passes, each with the config that holds for it: the nearest of route, host and table.

Source: HttpFilter.disabled, and typed_per_filter_config of Route, VirtualHost and RouteConfiguration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from betterproto2 import Message
from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.typed import unpacked

Configs = Mapping[str, ProtoAny]
"""typed_per_filter_config: by filter name."""


class Standing(NamedTuple):
    """A filter that is on: its own config, and those of places, the nearest first."""

    name: str
    own: Message | None
    nearer: tuple[Message, ...]

    @property
    def config(self) -> Message | None:
        """The one that holds."""
        return self.nearer[0] if self.nearer else self.own


def standing(manager: HttpConnectionManager, places: Sequence[Configs]) -> Iterator[Standing]:
    """In the order in which a request passes them; `places` the nearest first."""
    for one in manager.http_filters:
        said = [place[one.name] for place in places if one.name in place]
        found = [_message(config) for config in said]
        is_off = _is_off(found[0]) if found else one.disabled
        if not is_off:
            own = _message(one.typed_config) if one.typed_config is not None else None
            yield Standing(one.name, own, tuple(inner for config in found if (inner := _inner(config)) is not None))


def _message(config: ProtoAny) -> Message | None:
    try:
        return unpacked(config)
    except KeyError:
        return None


def _is_off(config: Message | None) -> bool:
    return isinstance(config, FilterConfig) and config.disabled


def _inner(config: Message | None) -> Message | None:
    """A FilterConfig is but a wrapper; an empty one inside says that the filter is on, and no more."""
    if not isinstance(config, FilterConfig):
        return config
    return _message(config.config) if config.config is not None and config.config.type_url else None
