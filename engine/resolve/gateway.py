"""Gateways that are ours, the ListenerSets that they let in, and the listeners of both as written, in precedence."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.gateway_class import ClassKey, is_our_class
from engine.resolve.indexes import SETS
from engine.resolve.manifest import GATEWAY_API, created, gateway_ref, items, mapping, object_of, served_object, spec_of
from engine.resolve.namespace import admitted, selector


class Attached(NamedTuple):
    """Key of `is_allowed`: a ListenerSet at the Gateway that it names."""

    gateway: Ref
    set: Ref


class Entry(NamedTuple):
    """A listener as written; `source` is the Gateway or ListenerSet that it stands in."""

    source: Ref
    item: Json

    @property
    def name(self) -> str:
        """Its own among all of its Gateway: names of ListenerSets may be alike, and no listener's name has a tilde."""
        name = str(self.item.get("name", ""))
        return name if self.source.kind == "Gateway" else f"{self.source.namespace}~{self.source.name}~{name}"


def gateway_spec(graph: Reader, gateway: Ref) -> Json | None:
    """`spec` of a Gateway that is ours, as it is served; None for others and absent ones."""
    object_ = served_object(graph, gateway, gateway)
    if object_ is None:
        return None
    spec = spec_of(object_)
    key = ClassKey(gateway.cluster, str(spec.get("gatewayClassName", "")))
    return spec if graph.get(is_our_class, key) else None


def age(graph: Reader, ref: Ref) -> tuple[str, Ref]:
    """Sorts objects of one kind from the oldest on, by name where they are equally old."""
    return created(object_of(graph, ref)), ref


def named_gateway(source: Ref, parent: Json) -> Ref | None:
    """The Gateway that a reference names, from the namespace of `source`; None when it names another kind."""
    if parent.get("group", GATEWAY_API) != GATEWAY_API or parent.get("kind", "Gateway") != "Gateway":
        return None
    return gateway_ref(source.cluster, str(parent.get("namespace") or source.namespace), str(parent.get("name", "")))


def gateway_of_set(graph: Reader, set_: Ref) -> Ref | None:
    """The Gateway that a ListenerSet names; None when it is absent or names another kind."""
    object_ = object_of(graph, set_)
    return None if object_ is None else named_gateway(set_, mapping(spec_of(object_).get("parentRef")))


def is_allowed(graph: Reader, key: Attached) -> bool:
    """Whether a Gateway of ours lets a ListenerSet in (Gateway.spec.allowedListeners); without a word, none."""
    spec = graph.get(gateway_spec, key.gateway)
    namespaces = mapping(mapping((spec or {}).get("allowedListeners")).get("namespaces"))
    how = str(namespaces.get("from", "None"))
    chosen = selector(mapping(namespaces.get("selector"))) if how == "Selector" else ()
    return admitted(graph, how, chosen, key.gateway, key.set.namespace)


def attached_sets(graph: Reader, gateway: Ref) -> tuple[Ref, ...]:
    """The ListenerSets that a Gateway lets in: the oldest first, then by namespace/name (ListenerSetSpec.listeners)."""
    found = [one for one in graph.find(SETS, gateway) if graph.get(is_allowed, Attached(gateway, one))]
    aged = sorted((graph.get(age, one)[0], f"{one.namespace}/{one.name}", one) for one in found)
    return tuple(one for _, _, one in aged)


def entries(graph: Reader, gateway: Ref) -> tuple[Entry, ...] | None:
    """The Gateway's own listeners, then those of its ListenerSets in their order; None when the Gateway is not ours."""
    spec = graph.get(gateway_spec, gateway)
    if spec is None:
        return None
    found = [Entry(gateway, item) for item in items(spec.get("listeners"))]
    for set_ in graph.get(attached_sets, gateway):
        set_spec = spec_of(served_object(graph, gateway, set_))
        found += [Entry(set_, item) for item in items(set_spec.get("listeners"))]
    return tuple(found)
