"""ReferenceGrants: whether an object of one namespace may name an object of another."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.indexes import GRANTS
from engine.resolve.manifest import GATEWAY_API, items, object_of, spec_of
from engine.resolve.values import Problem


class Reference(NamedTuple):
    """A reference across namespaces, of kind and namespace `from_*` to one object."""

    from_group: str
    from_kind: str
    from_namespace: str
    to: Ref


def granted(graph: Reader, key: Reference) -> bool:
    """Whether a ReferenceGrant in the target's namespace allows the reference."""
    grants = graph.find(GRANTS, (key.to.cluster, key.to.namespace))
    return any(_allows(graph, grant, key) for grant in grants)


def _allows(graph: Reader, grant: Ref, key: Reference) -> bool:
    spec = spec_of(object_of(graph, grant))
    source = any(
        item.get("group", "") == key.from_group
        and item.get("kind") == key.from_kind
        and item.get("namespace") == key.from_namespace
        for item in items(spec.get("from"))
    )
    return source and any(
        item.get("group", "") == key.to.group
        and item.get("kind") == key.to.kind
        and item.get("name") in (None, "", key.to.name)
        for item in items(spec.get("to"))
    )


def reference_problem(graph: Reader, kind: str, source: Ref, target: Ref) -> Problem | None:
    """What stands against a reference from a Gateway API object; None when it stays in its namespace or is granted."""
    if source.namespace == target.namespace:
        return None
    if graph.get(granted, Reference(GATEWAY_API, kind, source.namespace, target)):
        return None
    return Problem(
        "RefNotPermitted",
        f"{target.kind} {target.namespace}/{target.name} is in another namespace: add a ReferenceGrant in namespace "
        f"{target.namespace} from {kind} of namespace {source.namespace} to {target.kind} {target.name}",
    )
