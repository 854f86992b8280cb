"""ReferenceGrants: whether an object of one namespace may name an object of another."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.indexes import GRANTS
from engine.resolve.manifest import GATEWAY_API, KGATEWAY, items, object_of, spec_of
from engine.resolve.settings import settings
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
    """What stands against a reference; None when it stays in its namespace or is granted."""
    if source.group == KGATEWAY:
        return extension_problem(graph, source, target)
    return _problem(graph, Reference(GATEWAY_API, kind, source.namespace, target))


def extension_problem(graph: Reader, source: Ref, target: Ref) -> Problem | None:
    """What stands against a reference from an object of kgateway's, by the reference grant mode.

    PERMISSIVE lets such objects name one another; a Secret of another namespace must be granted there, too: what one
    tenant keeps secret no other may put into a header (kgateway lets it).
    """
    is_ours = target.group == KGATEWAY and settings(graph).reference_grant_mode == "PERMISSIVE"
    return None if is_ours else _problem(graph, Reference(source.group, source.kind, source.namespace, target))


def _problem(graph: Reader, key: Reference) -> Problem | None:
    target, kind = key.to, key.from_kind
    if key.from_namespace == target.namespace or settings(graph).reference_grant_mode == "OFF":
        return None
    if graph.get(granted, key):
        return None
    return Problem(
        "RefNotPermitted",
        f"{target.kind} {target.namespace}/{target.name} is in another namespace: add a ReferenceGrant in namespace "
        f"{target.namespace} from {kind} of namespace {key.from_namespace} to {target.kind} {target.name}",
    )
