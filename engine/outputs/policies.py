"""TrafficPolicies in force: what those of a route, a listener or a Gateway do to Envoy's config.

What stands at a Gateway or listener is written to its route configuration or virtual hosts, where Envoy itself lets a
route's own come first: an edit there touches no route. Only what Envoy has in routes alone is handed down to each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import dropwhile
from typing import Any, Final, NamedTuple

from engine.envoy.chained import covering, further, joined
from engine.envoy.effect import NOTHING, Effect, both, closed, named, switched
from engine.envoy.pgv import violation
from engine.envoy.typed import unpacked
from engine.graph.reader import Reader
from engine.policies.feature import Link, Use, is_off
from engine.policies.features import FEATURES
from engine.ref import Ref
from engine.resolve.listener import listeners
from engine.resolve.manifest import held_fact, metadata_of, served_object
from engine.resolve.policy import Aim, Block, block, blocks, over, value
from engine.resolve.settings import settings
from engine.resolve.values import Problem

TRAFFIC: Final = "TrafficPolicy"
PRIORITY: Final = "kgateway.dev/inherited-policy-priority"
"""Annotation of a Gateway: whose block of a field is in force, its own or that of what is below it, or both as one."""
MAY_BE_OFF: Final = "penstock.dev/may-be-disabled"
"""Annotation of a TrafficPolicy: which of its fields those below may switch off though they guard; "*" for all."""
_GUARDING: Final = frozenset(field for field, one in FEATURES.items() if one.guards)
_SHUTTING: Final = frozenset(field for field, one in FEATURES.items() if one.shuts)
_ALONE: Final = frozenset(field for field, one in FEATURES.items() if one.alone)
_INHERITED: Final = frozenset(field for field, one in FEATURES.items() if one.inherited)
_LINKED: Final = frozenset(field for field, one in FEATURES.items() if one.link is not None)
_MERGING: Final = _LINKED | {field for field, one in FEATURES.items() if one.merge is not None}

Linking = Callable[[Reader, Use, Any], Link | None]


class Priority(NamedTuple):
    """Whether what stands above goes before what is below it; `deep`: what can be merged of both is."""

    prefers_parent: bool = False
    deep: bool = False


_PRIORITIES: Final = {
    "ShallowMergePreferParent": Priority(prefers_parent=True),
    "DeepMergePreferChild": Priority(deep=True),
    "DeepMergePreferParent": Priority(prefers_parent=True, deep=True),
}


class Inherited(NamedTuple):
    """What a rule hands down to those that it delegates to, and how."""

    blocks: tuple[Block, ...]
    priority: Priority


class Applied(NamedTuple):
    """Key of `applied`: a block of a policy as a Gateway is served it."""

    gateway: Ref
    block: Block


class At(NamedTuple):
    """Key of what is inherited: a listener of a Gateway, "" for the Gateway itself."""

    gateway: Ref
    listener: str


# -- one block --------------------------------------------------------------------------------------------------------


def applied(graph: Reader, key: Applied) -> Effect | Problem:
    """What a block does; a problem when it cannot be done."""
    return _merged(graph, key) if key.block.below else _of_one(graph, key)


def _of_one(graph: Reader, key: Applied) -> Effect | Problem:
    policy = key.block.policy
    resource = graph.read(policy)
    name = f"{policy.kind} {policy.namespace}/{policy.name}"
    if resource is not None and resource.previous is None and (words := graph.fact(held_fact(key.gateway, policy))):
        return Problem("Quarantined", f"a proxy rejected {name} and there is no earlier revision ({words}): mend it")
    if key.block.refused or resource is None:
        return Problem("Invalid", f"{name} was never taken: {resource.refusal if resource is not None else 'absent'}")
    return _done(graph, key, value(graph, key.gateway, key.block), (policy,))


def _merged(graph: Reader, key: Applied) -> Effect | Problem:
    """Several blocks as one. Of those that cannot be met one that guards fails them all, others are left out."""
    alone = {one: graph.get(applied, Applied(key.gateway, one)) for one in key.block.parts}
    failing = next((one for one in alone.values() if isinstance(one, Problem)), None)
    found, parts = _folded(graph, key)
    if failing is not None and (not parts or _closes(key.block.field, failing) is not None):
        return failing
    if len(parts) == 1:
        return alone[parts[0]]
    if key.block.field in _LINKED:
        done = ((part, one) for part in parts if isinstance(one := alone[part], Effect))
        return joined([(_label(graph, key.gateway, part), one) for part, one in done])
    return _done(graph, key, found, tuple(one.policy for one in parts))


def _folded(graph: Reader, key: Applied) -> tuple[object, tuple[Block, ...]]:
    """The parts that can be met and contradict none before them, and their values as one where they can be."""
    feature = FEATURES[key.block.field]
    found: object = None
    parts: tuple[Block, ...] = ()
    met = [one for one in key.block.parts if isinstance(graph.get(applied, Applied(key.gateway, one)), Effect)]
    if feature.link is not None:
        return None, _linked(graph, key.gateway, feature.link, met)
    for one in met:
        said = value(graph, key.gateway, one)
        both_ = said if not parts else feature.merge(found, said) if feature.merge is not None else None
        if both_ is not None:
            found, parts = both_, (*parts, one)
    return found, parts


def _linked(graph: Reader, gateway: Ref, link: Linking, met: Iterable[Block]) -> tuple[Block, ...]:
    """Those that are done in a row, in this order; of what is off one that nothing goes before."""
    found: dict[Ref, tuple[int, Block]] = {}
    every = tuple(met)
    for at, one in enumerate(every):
        made = link(graph, Use(gateway, one.policy), value(graph, gateway, one))
        if made is not None:
            found.setdefault(made.service, (-made.weight, one))
        elif not found and not _overruled(graph, gateway, one, every[at + 1 :]):
            return (one,)
    return tuple(block for _, block in sorted(found.values(), key=lambda pair: pair[0]))


def _label(graph: Reader, gateway: Ref, one: Block) -> str:
    """The service that a block has asked, as its filter is named; "" where it has none."""
    link = FEATURES[one.field].link
    made = link(graph, Use(gateway, one.policy), value(graph, gateway, one)) if link is not None else None
    return f"{made.service.namespace}/{made.service.name}" if made is not None else ""


def _done(graph: Reader, key: Applied, said: object, policies: tuple[Ref, ...]) -> Effect | Problem:
    feature = FEATURES[key.block.field]
    found = feature.effect(graph, Use(key.gateway, policies[0]), said)
    if isinstance(found, Problem):
        return _told(feature.field, found)
    return _lawful(found, feature.field) or named(_telling(found, feature.field), feature.field, *policies)


def _told(field: str, problem: Problem) -> Problem:
    return Problem(problem.reason, f"spec.{field}: {problem.message}")


def _telling(effect: Effect, field: str) -> Effect:
    if not effect.problems and effect.against is None:
        return effect
    against = _told(field, effect.against) if effect.against is not None else None
    return replace(effect, problems=tuple(_told(field, one) for one in effect.problems), against=against)


def _closes(field: str, found: Effect | Problem) -> Problem | None:
    """Why a block closes what it stands at."""
    if isinstance(found, Effect):
        return found.against
    return found if field in _GUARDING or field in _SHUTTING else None


def in_force(graph: Reader, key: Applied) -> tuple[Ref, ...]:
    """Whose block it is: of several all that count, and all of them where one of them closes."""
    if not key.block.below or key.block.field not in FEATURES:
        return (key.block.policy,)
    made = graph.get(applied, key)
    found = key.block.parts if isinstance(made, Problem) else _folded(graph, key)[1]
    return tuple(one.policy for one in found)


def _lawful(effect: Effect, field: str) -> Problem | None:
    for name, config in effect.configs:
        if (broken := violation(unpacked(config))) is not None:
            return Problem("Invalid", f"spec.{field}: Envoy would not take its {name}: {broken}")
    return None


def effects(graph: Reader, gateway: Ref, found: Iterable[Block]) -> tuple[Effect, Problem | None]:
    """All blocks of one place as one; and why its requests must fail, when one that guards cannot be met."""
    made: list[Effect] = []
    against: Problem | None = None
    for one in found:
        if one.field not in FEATURES:
            continue
        effect = graph.get(applied, Applied(gateway, one))
        made += [effect] if isinstance(effect, Effect) else []
        against = against or _closes(one.field, effect)
    return both(made) if made else NOTHING, against


# -- a Gateway or a listener ------------------------------------------------------------------------------------------


def aims(graph: Reader, key: At) -> tuple[Aim, ...]:
    """Where policies stand that concern all of a listener or Gateway, the farthest first."""
    if not key.listener:
        return (Aim(key.gateway, TRAFFIC, key.gateway),)
    one = next((one for one in graph.get(listeners, key.gateway) or () if one.name == key.listener), None)
    if one is None:
        return ()
    whole = () if one.source == key.gateway else (Aim(key.gateway, TRAFFIC, one.source),)
    return (*whole, Aim(key.gateway, TRAFFIC, one.source, one.section))


def own(graph: Reader, key: At) -> tuple[Block, ...]:
    """The blocks in force that stand at a listener, or at the Gateway itself."""
    found: tuple[Block, ...] = ()
    for aim in aims(graph, key):
        found = over(found, graph.get(blocks, aim), settings(graph).deep_merges)
    return found


def above(graph: Reader, key: At) -> tuple[Block, ...]:
    """The blocks in force at a listener, those of its Gateway included."""
    below, gateway = graph.get(own, key), graph.get(own, At(key.gateway, ""))
    if key.listener and any(aim.target != key.gateway for aim in aims(graph, key)):
        # A ListenerSet is a tenant's, as a route is.
        below = opening_nothing(graph, key.gateway, below, gateway)
    prefers_parent, deep = graph.get(priority, key.gateway)
    merging = (*settings(graph).deep_merges, *(_MERGING if deep else ()))
    return over(below, gateway, merging) if prefers_parent else over(gateway, below, merging)


def handed_down(graph: Reader, key: At) -> tuple[Block, ...]:
    """Of what stands above the routes of a listener that which Envoy has in routes only."""
    return tuple(one for one in graph.get(above, key) if one.field in _INHERITED)


def priority(graph: Reader, gateway: Ref) -> Priority:
    """How what stands at a Gateway goes with what stands below it."""
    annotations = metadata_of(served_object(graph, gateway, gateway)).get("annotations") or {}
    return _PRIORITIES.get(str(annotations.get(PRIORITY)), Priority())


def guarding(graph: Reader, key: At) -> tuple[Block, ...]:
    """Of what stands above the routes of a listener, or at the Gateway, that which guards."""
    return guards(graph, key.gateway, graph.get(above, key))


def guards(graph: Reader, gateway: Ref, found: Iterable[Block]) -> tuple[Block, ...]:
    """Those that guard, are not switched off, and do not say that whoever is below may switch them off."""
    on = (one for one in found if one.field in _GUARDING and not is_switched_off(graph, gateway, one))
    left = [one for each in on if (one := _without_off(graph, gateway, each)) is not None]
    return tuple(one for one in left if not all(_may_be_off(graph, gateway, part) for part in one.parts))


def _may_be_off(graph: Reader, gateway: Ref, part: Block) -> bool:
    annotations = metadata_of(served_object(graph, gateway, part.policy)).get("annotations") or {}
    said = {one.strip() for one in str(annotations.get(MAY_BE_OFF, "")).split(",")}
    return bool({part.field, "*"} & {*said, *settings(graph).may_be_disabled})


def closing(graph: Reader, key: At) -> frozenset[str]:
    """The fields that close the routes of a listener, or of a Gateway."""
    found = graph.get(above, key) if key.listener else graph.get(own, key)
    made = ((one.field, graph.get(applied, Applied(key.gateway, one))) for one in found if one.field in FEATURES)
    return frozenset(field for field, one in made if _closes(field, one) is not None)


def level(graph: Reader, key: At) -> Effect:
    """What the policies at a listener, or at the Gateway itself, do there."""
    mine = graph.get(own, key)
    if key.listener and mine:
        said = {one.field for one in mine}
        theirs = graph.get(own, At(key.gateway, ""))
        mine = tuple(one for one in graph.get(above, key) if one.field in said and one not in theirs)
    effect, against = effects(graph, key.gateway, (one for one in mine if one.field not in _INHERITED))
    if key.listener and any(one.field in _ALONE for one in mine):
        effect = both((_alone(graph, key.gateway, graph.get(own, At(key.gateway, "")), mine), effect))
    if key.listener and any(one.field in _LINKED for one in mine):
        effect = covering(effect, graph.get(behind, At(key.gateway, "")))
    if against is not None:
        return both((effect, closed()))
    if key.listener and mine and _reopens(graph, At(key.gateway, ""), mine):
        return both((effect, closed(off=True)))
    return effect


def behind(graph: Reader, key: At) -> tuple[tuple[str, str], ...]:
    """The filters, as (chain, name), behind the first of a chain at a listener or Gateway and farther out.

    A nearer block with fewer must keep them out.
    """
    there = (*graph.get(own, At(key.gateway, "")), *(graph.get(above, key) if key.listener else ()))
    made = (graph.get(applied, Applied(key.gateway, one)) for one in dict.fromkeys(there) if one.field in _LINKED)
    return tuple(sorted({pair for one in made if isinstance(one, Effect) for pair in further(one)}))


def _alone(graph: Reader, gateway: Ref, farther: tuple[Block, ...], mine: tuple[Block, ...]) -> Effect:
    """Switches off what blocks farther out switched on and those here do not, of what cannot be on twice."""
    here = {
        one.field
        for one in mine
        if one.field in _ALONE and isinstance(graph.get(applied, Applied(gateway, one)), Effect)
    }
    made = [graph.get(applied, Applied(gateway, one)) for one in farther if one.field in here]
    return switched(*(name for one in made if isinstance(one, Effect) for name, _ in one.configs), off=True)


def _reopens(graph: Reader, key: At, mine: tuple[Block, ...]) -> bool:
    """Whether all that closes what is above is said anew here, where it can be met."""
    failing, here = graph.get(closing, key), {one.field: one for one in mine}
    return bool(failing) and all(
        field in here and isinstance(graph.get(applied, Applied(key.gateway, here[field])), Effect) for field in failing
    )


# -- a route ----------------------------------------------------------------------------------------------------------


def of_rule(graph: Reader, key: At, mine: tuple[Block, ...]) -> tuple[Effect, Problem | None]:
    """What the blocks of a rule do below a listener, with those that are handed down; and why it must fail."""
    down = graph.get(handed_down, key)
    if not mine and not down:
        return NOTHING, None
    kept = _kept(graph, key, mine) if mine else mine
    effect, against = effects(graph, key.gateway, over(down, kept))
    if any(one.field in _ALONE for one in kept):
        effect = both((_alone(graph, key.gateway, graph.get(above, key), kept), effect))
    if any(one.field in _LINKED for one in kept):
        effect = covering(effect, graph.get(behind, key))
    if against is None and kept and _reopens(graph, key, kept):
        effect = both((effect, closed(off=True)))
    return effect, against


def _kept(graph: Reader, key: At, mine: tuple[Block, ...]) -> tuple[Block, ...]:
    """Of a rule's blocks those that go before what stands above, or are one with it."""
    prefers_parent, deep = graph.get(priority, key.gateway)
    if not prefers_parent and any(is_switched_off(graph, key.gateway, one) for one in mine):
        mine = opening_nothing(graph, key.gateway, mine, graph.get(guarding, key))
    if not prefers_parent and not deep:
        return mine
    theirs = graph.get(above, key)
    said, taken = {one.field for one in mine}, {one.field for one in theirs}
    shared = tuple(one for one in theirs if one.field in said and one.field in _MERGING) if deep else ()
    if not prefers_parent:
        return over(shared, mine, _MERGING)
    joint = {one.field for one in shared}
    return over(tuple(one for one in mine if one.field in joint or one.field not in taken), shared, _MERGING)


def opening_nothing(graph: Reader, gateway: Ref, mine: Iterable[Block], theirs: Iterable[Block]) -> tuple[Block, ...]:
    """Without what switches off, before all that it is joined with, what guards above: a tenant must not open that.

    What is joined with it stays.
    """
    shut = {one.field for one in guards(graph, gateway, theirs)}
    found = ((_without_off(graph, gateway, one) if one.field in shut else one) for one in mine)
    return tuple(one for one in found if one is not None)


def _without_off(graph: Reader, gateway: Ref, one: Block) -> Block | None:
    parts = tuple(dropwhile(lambda part: is_switched_off(graph, gateway, part), one.parts))
    return replace(parts[0], below=parts[1:]) if parts else None


def is_switched_off(graph: Reader, gateway: Ref, one: Block) -> bool:
    """Whether a block that guards is one that switches off: one alone, or the first of those that are joined."""
    off = one.field in _GUARDING and not one.refused and is_off(block(graph, gateway, one))
    return off and not _overruled(graph, gateway, one, one.below)


def _overruled(graph: Reader, gateway: Ref, one: Block, later: Iterable[Block]) -> bool:
    """Whether the global policy namespace guards behind one of another's that switches off: that does not count."""
    platform = settings(graph).global_policy_namespace
    theirs = [part for part in later if part.policy.namespace == platform] if platform else []
    return one.policy.namespace != platform and bool(guards(graph, gateway, theirs))


def with_those_above(
    graph: Reader, gateway: Ref, above: Iterable[Inherited], mine: tuple[Block, ...]
) -> tuple[Block, ...]:
    """The blocks of a rule with those of the rules that delegate to it, the first of all first.

    A rule's own go before those above it unless these are preferred, but that none switches off what guards above it.
    """
    found: tuple[Block, ...] = ()
    prefers_parent, deep = Priority()
    for blocks_there, its in (*above, Inherited(mine, Priority())):
        merging = _MERGING if deep else ()
        if prefers_parent:
            found = over(blocks_there, found, merging)
        else:
            found = over(found, opening_nothing(graph, gateway, blocks_there, found), merging)
        prefers_parent, deep = its
    return found
