"""Imports with endpoints in other networks: each of these is a remote gateway, and asked as its cluster wants."""

from __future__ import annotations

from typing import Final

from engine.envoy.outlier_detection import watched
from engine.envoy.remote_gateway import way
from engine.envoy.shape import Shape
from engine.resolve.remote_gateway import Remote
from engine.resolve.values import Backend
from engine.seal import Sealer

NATURE: Final = Remote


def said(nature: Remote, backend: Backend, name: str, sealer: Sealer | None) -> Shape:  # noqa: ARG001
    """Watched as all imports are; what is no remote gateway is asked as it would be without any."""
    ways = [way(one, nature.authority) for one in nature.ways]
    return Shape({"transport_socket_matches": ways}).over(watched())
