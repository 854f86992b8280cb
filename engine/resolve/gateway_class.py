"""GatewayClasses: which Gateways are ours. What is not ours costs nothing and is never written to."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.manifest import GATEWAY_API, object_of, spec_of
from engine.resolve.settings import settings


class ClassKey(NamedTuple):
    """Key of `is_our_class`."""

    cluster: str
    name: str


def is_our_class(graph: Reader, key: ClassKey) -> bool:
    """Whether Gateways of the class are ours: its controllerName is, or it has no object and an implicit name."""
    class_ = object_of(graph, Ref(key.cluster, GATEWAY_API, "GatewayClass", "", key.name))
    if class_ is None:
        return key.name in settings(graph).gateway_classes
    return bool(spec_of(class_).get("controllerName") == settings(graph).controller_name)
