"""Headers that are set and added, as options of Envoy's."""

from __future__ import annotations

from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption, HeaderValueOptionHeaderAppendAction

from engine.envoy.wire import construct
from engine.resolve.values import HeaderChange


def header_options(change: HeaderChange) -> list[HeaderValueOption]:
    """What is set, then what is added."""
    action = HeaderValueOptionHeaderAppendAction
    return [
        *(_option(name, value, action.OVERWRITE_IF_EXISTS_OR_ADD) for name, value in change.set),
        *(_option(name, value, action.APPEND_IF_EXISTS_OR_ADD) for name, value in change.add),
    ]


def _option(name: str, value: str, action: HeaderValueOptionHeaderAppendAction) -> HeaderValueOption:
    return construct(HeaderValueOption, header=construct(HeaderValue, key=name, value=value), append_action=action)
