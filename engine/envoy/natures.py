"""What the types of kgateway's Backend make of their clusters: `said` of each file in `backends`, by its `NATURE`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import engine.envoy.backends
from engine.envoy.shape import Shape
from engine.presence import modules, told_apart
from engine.resolve.values import Backend, Nature
from engine.seal import Sealer

Said = Callable[[Any, Backend, str, Sealer | None], Shape]
"""Of a nature of the class that the file names, its backend, the cluster's name, and what opens sealed texts."""

_FOUND: Final = told_apart(modules(engine.envoy.backends), lambda one: one.NATURE)
_SAID: Final[dict[type[Nature], Said]] = {nature: one.said for nature, one in _FOUND.items()}


def natural(backend: Backend, name: str, sealer: Sealer | None) -> Shape:
    """The shape of a cluster before any policy; with the field `cluster_type` it has no other discovery."""
    nature = backend.nature
    return _SAID[type(nature)](nature, backend, name, sealer) if nature is not None else Shape()
