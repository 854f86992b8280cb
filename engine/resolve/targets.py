"""What kgateway's policies name, as the keys of an index: objects by name, and objects by their labels."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

from engine.graph.reader import Json, Resource
from engine.ref import Ref
from engine.resolve.manifest import items, spec_of

KINDS: Final = ("BackendConfigPolicy", "HTTPListenerPolicy", "ListenerPolicy", "TrafficPolicy")
TARGETS: Final = "targets"
"""Policies by the Named that a targetRef of theirs is, and by the Chosen of a selector."""
ATTACHING: Final = ("targetRefs", "targetSelectors")
"""The fields of a policy that are no blocks."""


class Named(NamedTuple):
    """Key of TARGETS: an object, by name; `policy` is the kind of what names it."""

    policy: str
    target: Ref


class Chosen(NamedTuple):
    """Key of TARGETS: objects of a kind, chosen by labels from a namespace."""

    policy: str
    cluster: str
    namespace: str
    group: str
    kind: str


def target_keys(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    """The keys of a policy in TARGETS: of its last good revision too, which a Gateway may still be served."""
    found: dict[Hashable, None] = {}
    for object_ in (resource.object, resource.previous, resource.written):
        spec = spec_of(object_)
        for one in items(spec.get("targetRefs")):
            found[Named(ref.kind, target(ref, one))] = None
        for one in items(spec.get("targetSelectors")):
            found[Chosen(ref.kind, ref.cluster, ref.namespace, str(one.get("group", "")), str(one.get("kind")))] = None
    return tuple(found)


def target(policy: Ref, one: Json) -> Ref:
    """The object that a targetRef names, in the policy's own namespace."""
    return Ref(policy.cluster, str(one.get("group", "")), str(one.get("kind")), policy.namespace, str(one.get("name")))
