"""What the types of kgateway's Backend make of their clusters: `said` of each file in `backends`, by its `NATURE`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.google.protobuf import Any as ProtoAny

import engine.envoy.backends
from engine.envoy.effect import switched
from engine.envoy.shape import Shape
from engine.envoy.type_filter import TypeFilter
from engine.presence import modules, told_apart
from engine.resolve.values import Backend, Nature
from engine.seal import Sealer

Said = Callable[[Any, Backend, str, Sealer | None], Shape]
"""Of a nature of the class that the file names, its backend, the cluster's name, and what opens sealed texts."""

_FOUND: Final = told_apart(modules(engine.envoy.backends), lambda one: one.NATURE)
_SAID: Final[dict[type[Nature], Said]] = {nature: one.said for nature, one in _FOUND.items()}
FILTERS: Final[dict[str, TypeFilter]] = {one.TYPE: one.FILTER for one in _FOUND.values() if hasattr(one, "FILTER")}
"""What requests to a type of Backend have to pass, by its field: it stands, switched off, in every listener."""
_COMPANIONS: Final[dict[str, Callable[[], Cluster]]] = {
    name: made for one in _FOUND.values() for name, made in getattr(one, "COMPANIONS", {}).items()
}


def switched_on(types: Iterable[str]) -> dict[str, ProtoAny]:
    """`typed_per_filter_config` of a route to Backends of these types."""
    return dict(switched(*(FILTERS[one].name for one in types), off=False).configs)


def companion(name: str) -> Cluster:
    """A cluster that a filter of a type asks, by its name."""
    return _COMPANIONS[name]()


def natural(backend: Backend, name: str, sealer: Sealer | None) -> Shape:
    """The shape of a cluster before any policy; with the field `cluster_type` it has no other discovery."""
    nature = backend.nature
    return _SAID[type(nature)](nature, backend, name, sealer) if nature is not None else Shape()
