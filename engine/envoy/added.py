"""What is added to a listener beyond what a Gateway says of it: fields of its messages. It knows not who adds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.listener.v3 import ListenerFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter

from engine.envoy.wire import construct, is_given

Fields = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Added:
    """Fields of the Listener, of its filter chains, and of their HttpConnectionManagers.

    `filters` come before all others that a request passes, `listener_filters` before all others of a connection.
    """

    listener: Fields = ()
    chain: Fields = ()
    manager: Fields = ()
    filters: tuple[HttpFilter, ...] = ()
    listener_filters: tuple[ListenerFilter, ...] = ()


NOTHING: Final = Added()


@dataclass(frozen=True, slots=True)
class Additions:
    """What is added to a listener, and to its filter chains by their names."""

    port: Added = NOTHING
    chains: Mapping[str, Added] | None = None

    def of(self, chain: str) -> Added:
        """What is added to a chain."""
        return (self.chains or {}).get(chain, NOTHING)


def together(parts: Iterable[Added]) -> Added:
    """All of them as one: of one message that several give fields of, all these fields."""
    found = list(parts)
    return Added(
        _together(one.listener for one in found),
        _together(one.chain for one in found),
        _together(one.manager for one in found),
        tuple(item for one in found for item in one.filters),
        tuple(item for one in found for item in one.listener_filters),
    )


def _together(parts: Iterable[Fields]) -> Fields:
    found: dict[str, Any] = {}
    for name, value in (pair for part in parts for pair in part):
        old = found.get(name)
        if isinstance(old, Message) and isinstance(value, Message):
            found[name] = construct(type(value), **(given(old) | given(value)))
        else:
            found[name] = value
    return tuple(sorted(found.items(), key=lambda one: one[0]))


def given(message: Message) -> dict[str, Any]:
    """The fields of a message that are set."""
    return {name: value for name, value in message.__dict__.items() if is_given(type(message), name, value)}
