"""kgateway's policies: which stand at an object or a section of it, and whose block of each field is in force there.

It knows no policy and no block: a field is a name, or a path such as "rateLimit.local" where parts of it are in force
each by itself; its value is the manifest's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.models.traffic_policy import UNITS
from engine.ref import Ref
from engine.resolve.manifest import created, held_fact, items, labels_of, mapping, object_of, served_object, spec_of
from engine.resolve.settings import settings
from engine.resolve.targets import ATTACHING, TARGETS, Chosen, Named, target


class Aim(NamedTuple):
    """What a policy stands at: an object as a Gateway is served it, whole (section "") or a listener or rule of it."""

    gateway: Ref
    policy: str
    target: Ref
    section: str = ""


class Policy(NamedTuple):
    """A policy as a Gateway is served it."""

    gateway: Ref
    policy: Ref


class Standing(NamedTuple):
    """When a policy was created, itself, and what it names: its targetRefs, and its targetSelectors."""

    created: str
    policy: Ref
    named: tuple[tuple[Ref, str], ...]
    chosen: tuple[Selector, ...]


class Selector(NamedTuple):
    """A targetSelector; `labels` are sorted."""

    group: str
    kind: str
    labels: tuple[tuple[str, str], ...]
    section: str


@dataclass(frozen=True, slots=True)
class Block:
    """A field of a policy's spec that is in force somewhere.

    `refused`: no revision of it can be served; none was ever taken, or a proxy rejected the only one. `below` are those
    that it is merged with, none of which has others: each goes before those behind it.
    """

    field: str
    policy: Ref
    refused: bool = False
    below: tuple[Block, ...] = ()

    @property
    def parts(self) -> tuple[Block, ...]:
        """Itself alone, and those below it."""
        return (replace(self, below=()), *self.below) if self.below else (self,)


def aimed(graph: Reader, key: Aim) -> tuple[Ref, ...]:
    """The policies that stand exactly there, the oldest first, then by namespace/name."""
    cluster, group, kind = key.target.cluster, key.target.group, key.target.kind
    found = dict.fromkeys(graph.find(TARGETS, Named(key.policy, key.target)))
    for namespace in dict.fromkeys((key.target.namespace, settings(graph).global_policy_namespace)):
        chosen = Chosen(key.policy, cluster, namespace, group, kind)
        found |= dict.fromkeys(graph.find(TARGETS, chosen) if namespace else ())
    mine = [graph.get(standing, Policy(key.gateway, one)) for one in found]
    return tuple(one.policy for one in sorted(mine) if _stands(graph, key, one))


def standing(graph: Reader, key: Policy) -> Standing:
    """What a policy stands at; whatever else changes in it stops here."""
    object_ = served(graph, key.gateway, key.policy)
    spec = spec_of(object_)
    named = ((target(key.policy, one), _section(one)) for one in items(spec.get("targetRefs")))
    chosen = (
        Selector(str(one.get("group", "")), str(one.get("kind")), _texts(one.get("matchLabels")), _section(one))
        for one in items(spec.get("targetSelectors"))
    )
    return Standing(created(object_), key.policy, tuple(named), tuple(chosen))


def _section(one: Json) -> str:
    return str(one.get("sectionName") or "")


def _texts(value: object) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(one)) for name, one in mapping(value).items()))


def _stands(graph: Reader, key: Aim, one: Standing) -> bool:
    return (key.target, key.section) in one.named or any(
        (chosen.group, chosen.kind, chosen.section) == (key.target.group, key.target.kind, key.section)
        and dict(chosen.labels).items() <= graph.get(labels, key.target).items()
        for chosen in one.chosen
    )


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
    """Whose block of each field is in force there: the oldest's, by field; or that before those of all others."""
    return merged(graph, key.gateway, graph.get(aimed, key))


def merged(graph: Reader, gateway: Ref, policies: Iterable[Ref]) -> tuple[Block, ...]:
    """Of each field the first policy's block, by field; or that before those of all others."""
    found: tuple[Block, ...] = ()
    for policy in policies:
        found = over(blocks_of(graph, gateway, policy), found, settings(graph).deep_merges)
    return found


def blocks_of(graph: Reader, gateway: Ref, policy: Ref) -> tuple[Block, ...]:
    """All fields that a policy has."""
    resource = graph.read(policy)
    refused = resource is not None and (
        resource.object is None or (resource.previous is None and bool(graph.fact(held_fact(gateway, policy))))
    )
    said = {field: one for field, one in spec_of(served(graph, gateway, policy)).items() if field not in ATTACHING}
    units = UNITS if policy.kind == "TrafficPolicy" else {}
    fields = (name for field, one in said.items() for name in _named(field, one, units.get(field, ()), refused=refused))
    return tuple(Block(field, policy, refused) for field in sorted(fields))


def _named(field: str, said: object, units: tuple[str, ...], *, refused: bool) -> list[str]:
    """The field, or which of its units are said; of one that was never taken all that may have been meant."""
    inside = mapping(said)
    if units and refused and (not inside or not inside.keys() <= set(units)):
        return [f"{field}.{unit}" for unit in units]
    return [f"{field}.{unit}" for unit in units if inside.get(unit) is not None] if units else [field]


def over(lower: tuple[Block, ...], higher: tuple[Block, ...], deep: Collection[str] = ()) -> tuple[Block, ...]:
    """Both levels as one: of each field the higher level's block; of those in `deep` it before the lower's."""
    under = {one.field: one for one in lower}
    found = dict(under)
    for one in higher:
        found[one.field] = _before(one, under[one.field]) if one.field in deep and one.field in under else one
    return tuple(found[field] for field in sorted(found))


def _before(first: Block, second: Block) -> Block:
    """Both as one; a policy that is in both counts where it is first."""
    known = {one.policy for one in first.parts}
    return replace(first, below=(*first.below, *(one for one in second.parts if one.policy not in known)))


def block(graph: Reader, gateway: Ref, one: Block) -> Json:
    """What the manifest says of a block that is an object."""
    return mapping(value(graph, gateway, one))


def value(graph: Reader, gateway: Ref, one: Block) -> object:
    """What the manifest says of a field."""
    found: object = spec_of(served(graph, gateway, one.policy))
    for name in one.field.split("."):
        found = mapping(found).get(name)
    return found


def missing(graph: Reader, named: Ref, section: str) -> str | None:
    """Why a target, or a section of it, is not there, in words; None when it is."""
    name = f"{named.kind} {named.namespace}/{named.name}"
    if graph.read(named) is None:
        return f"{name} does not exist: targets are of the policy's own namespace"
    spec = spec_of(object_of(graph, named))
    places = items(spec.get("listeners")) + items(spec.get("rules"))
    if section and section not in {str(one.get("name") or "") for one in places}:
        return f"{name} has no listener or rule named {section}"
    return None
