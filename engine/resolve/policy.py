"""kgateway's policies: which stand at an object or a section of it, and whose block of each field is in force there.

It knows no policy and no block: a field is a name, its value the manifest's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.gateway import age
from engine.resolve.manifest import items, labels_of, mapping, object_of, served_object, spec_of
from engine.resolve.settings import settings
from engine.resolve.targets import ATTACHING, TARGETS, Chosen, Named
from engine.resolve.targets import target as target_of


class Aim(NamedTuple):
    """What a policy stands at: an object as a Gateway is served it, whole (section "") or a listener or rule of it."""

    gateway: Ref
    policy: str
    target: Ref
    section: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A top-level field of a policy's spec that is in force somewhere. `refused`: no revision of it was ever taken."""

    field: str
    policy: Ref
    refused: bool = False


def aimed(graph: Reader, key: Aim) -> tuple[Ref, ...]:
    """The policies that stand exactly there, the oldest first, then by namespace/name."""
    cluster, group, kind = key.target.cluster, key.target.group, key.target.kind
    found = dict.fromkeys(graph.find(TARGETS, Named(key.policy, key.target)))
    for namespace in dict.fromkeys((key.target.namespace, settings(graph).global_policy_namespace)):
        chosen = Chosen(key.policy, cluster, namespace, group, kind)
        found |= dict.fromkeys(graph.find(TARGETS, chosen) if namespace else ())
    mine = [one for one in found if _stands(graph, key, one)]
    return tuple(sorted(mine, key=lambda one: graph.get(age, one)))


def _stands(graph: Reader, key: Aim, policy: Ref) -> bool:
    spec = spec_of(served(graph, key.gateway, policy))
    named = [one for one in items(spec.get("targetRefs")) if target_of(policy, one) == key.target]
    chosen = [one for one in items(spec.get("targetSelectors")) if _chooses(graph, one, key.target)]
    return any(str(one.get("sectionName") or "") == key.section for one in (*named, *chosen))


def _chooses(graph: Reader, selector: Json, one: Ref) -> bool:
    if (str(selector.get("group", "")), str(selector.get("kind"))) != (one.group, one.kind):
        return False
    return mapping(selector.get("matchLabels")).items() <= graph.get(labels, one).items()


def labels(graph: Reader, ref: Ref) -> dict[str, str]:
    """Labels of an object; whatever else changes in it stops here."""
    return labels_of(object_of(graph, ref))


def served(graph: Reader, gateway: Ref, policy: Ref) -> Json | None:
    """A policy as a Gateway is served it; of one that was never taken what is written, of which nothing is trusted."""
    object_ = served_object(graph, gateway, policy)
    if object_ is not None:
        return object_
    resource = graph.read(policy)
    return resource.written if resource is not None else None


def blocks(graph: Reader, key: Aim) -> tuple[Block, ...]:
    """Whose block of each field is in force there: the oldest's (shallow merge), by field."""
    found: dict[str, Block] = {}
    for policy in graph.get(aimed, key):
        for one in blocks_of(graph, key.gateway, policy):
            found.setdefault(one.field, one)
    return tuple(found[field] for field in sorted(found))


def blocks_of(graph: Reader, gateway: Ref, policy: Ref) -> tuple[Block, ...]:
    """All fields that a policy has."""
    resource = graph.read(policy)
    refused = served_object(graph, gateway, policy) is None and resource is not None
    fields = spec_of(served(graph, gateway, policy)).keys() - set(ATTACHING)
    return tuple(Block(field, policy, refused) for field in sorted(fields))


def over(lower: tuple[Block, ...], higher: tuple[Block, ...]) -> tuple[Block, ...]:
    """Both levels as one: of each field the higher level's block."""
    found = {one.field: one for one in lower} | {one.field: one for one in higher}
    return tuple(found[field] for field in sorted(found))


def block(graph: Reader, gateway: Ref, one: Block) -> Json:
    """What the manifest says of a block."""
    return mapping(spec_of(served(graph, gateway, one.policy)).get(one.field))


def missing(graph: Reader, target: Ref, section: str) -> str | None:
    """Why a target, or a section of it, is not there, in words; None when it is."""
    name = f"{target.kind} {target.namespace}/{target.name}"
    if graph.read(target) is None:
        return f"{name} does not exist: targets are of the policy's own namespace"
    spec = spec_of(object_of(graph, target))
    places = items(spec.get("listeners")) + items(spec.get("rules"))
    if section and section not in {str(one.get("name") or "") for one in places}:
        return f"{name} has no listener or rule named {section}"
    return None
