"""Probes of the operating system on connections that are idle."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import TcpKeepalive

from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.models.duration import milliseconds
from engine.resolve.values import Problem

MOST_PROBES: Final = 127
MOST_SECONDS: Final = 32767
"""What Linux takes (include/net/tcp.h, MAX_TCP_KEEP…): with more Envoy opens no listener and no connection."""


def tcp_keepalive(block: Json) -> TcpKeepalive | Problem:
    """Of a block with keepAliveProbes, keepAliveTime and keepAliveInterval; what is not said is the system's."""
    said = {
        "keepalive_probes": block.get("keepAliveProbes"),
        "keepalive_time": _seconds(block.get("keepAliveTime")),
        "keepalive_interval": _seconds(block.get("keepAliveInterval")),
    }
    for value, (field, most) in zip(said.values(), _MOST, strict=True):
        if value is not None and not 1 <= value <= most:
            unit = "" if most == MOST_PROBES else "s"
            return Problem("Invalid", f"{field}: Linux takes 1{unit} to {most}{unit}: choose one of them")
    return construct(TcpKeepalive, **{name: value for name, value in said.items() if value is not None})


_MOST: Final = (
    ("keepAliveProbes", MOST_PROBES),
    ("keepAliveTime", MOST_SECONDS),
    ("keepAliveInterval", MOST_SECONDS),
)


def _seconds(text: object) -> int | None:
    """Whole ones: the operating system knows no others."""
    found = milliseconds(text)
    return None if found is None else found // 1000
