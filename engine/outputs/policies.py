"""TrafficPolicies in force: what those of a route, a listener or a Gateway do to Envoy's config, and who they are.

What stands at a Gateway or listener is written to its route configuration or virtual hosts, where Envoy itself lets a
route's own come first: an edit there touches no route. Only what Envoy has in routes alone is handed down to each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from engine.document import document
from engine.envoy.effect import NOTHING, Effect, both, closed, named, switched
from engine.envoy.pgv import violation
from engine.envoy.typed import unpacked
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import POLICY, STANDING, STATUS, Stood
from engine.policies.feature import Use, is_off
from engine.policies.features import FEATURES
from engine.ref import Ref
from engine.resolve.listener import listeners
from engine.resolve.manifest import held_fact, items, metadata_of, object_of, served_object, spec_of
from engine.resolve.policy import Aim, Block, aimed, block, blocks, blocks_of, missing, over, value
from engine.resolve.targets import target
from engine.resolve.values import Problem
from engine.status.policy import Standing, policy_status

TRAFFIC: Final = "TrafficPolicy"
PRIORITY: Final = "kgateway.dev/inherited-policy-priority"
"""Annotation of a Gateway: whose block of a field is in force, its own or that of what is below it."""
_PREFER_PARENT: Final = frozenset({"ShallowMergePreferParent", "DeepMergePreferParent"})
_GUARDING: Final = frozenset(field for field, one in FEATURES.items() if one.guards)
_ALONE: Final = frozenset(field for field, one in FEATURES.items() if one.alone)
_INHERITED: Final = frozenset(field for field, one in FEATURES.items() if one.inherited)


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
    feature, policy = FEATURES[key.block.field], key.block.policy
    resource = graph.read(policy)
    name = f"{policy.kind} {policy.namespace}/{policy.name}"
    if resource is not None and resource.previous is None and (words := graph.fact(held_fact(key.gateway, policy))):
        return Problem("Quarantined", f"a proxy rejected {name} and there is no earlier revision ({words}): mend it")
    if key.block.refused or resource is None:
        return Problem("Invalid", f"{name} was never taken: {resource.refusal if resource is not None else 'absent'}")
    found = feature.effect(graph, Use(key.gateway, policy), value(graph, key.gateway, key.block))
    if isinstance(found, Problem):
        return _told(feature.field, found)
    return _lawful(found, feature.field) or named(_telling(found, feature.field), feature.field, policy)


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
    return found if field in _GUARDING else None


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


def _aims(graph: Reader, key: At) -> tuple[Aim, ...]:
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
    for aim in _aims(graph, key):
        found = over(found, graph.get(blocks, aim))
    return found


def above(graph: Reader, key: At) -> tuple[Block, ...]:
    """The blocks in force at a listener, those of its Gateway included."""
    below, gateway = graph.get(own, key), graph.get(own, At(key.gateway, ""))
    if graph.get(prefers_parent, key.gateway):
        return over(below, gateway)
    return over(gateway, below)


def handed_down(graph: Reader, key: At) -> tuple[Block, ...]:
    """Of what stands above the routes of a listener that which Envoy has in routes only."""
    return tuple(one for one in graph.get(above, key) if one.field in _INHERITED)


def prefers_parent(graph: Reader, gateway: Ref) -> bool:
    """Whether what stands at a Gateway comes before what stands below it."""
    annotations = metadata_of(served_object(graph, gateway, gateway)).get("annotations") or {}
    return annotations.get(PRIORITY) in _PREFER_PARENT


def guarding(graph: Reader, key: At) -> tuple[Block, ...]:
    """Of what stands above the routes of a listener that which guards."""
    return tuple(one for one in graph.get(above, key) if one.field in _GUARDING)


def closing(graph: Reader, key: At) -> frozenset[tuple[str, str]]:
    """What closes the routes of a listener, or of a Gateway: fields, and the filter that would open; "" for any."""
    found = graph.get(above, key) if key.listener else graph.get(own, key)
    made = ((one.field, graph.get(applied, Applied(key.gateway, one))) for one in found if one.field in FEATURES)
    return frozenset(
        (field, one.awaited if isinstance(one, Effect) else "")
        for field, one in made
        if _closes(field, one) is not None
    )


def level(graph: Reader, key: At) -> Effect:
    """What the policies at a listener, or at the Gateway itself, do there."""
    mine = graph.get(own, key)
    if key.listener and graph.get(prefers_parent, key.gateway):
        taken = {one.field for one in graph.get(own, At(key.gateway, ""))}
        mine = tuple(one for one in mine if one.field not in taken)
    effect, against = effects(graph, key.gateway, (one for one in mine if one.field not in _INHERITED))
    if key.listener and any(one.field in _ALONE for one in mine):
        effect = both((_alone(graph, key.gateway, graph.get(own, At(key.gateway, "")), mine), effect))
    if against is not None:
        return both((effect, closed()))
    if key.listener and mine and _reopens(graph, At(key.gateway, ""), mine):
        return both((effect, closed(off=True)))
    return effect


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
    return bool(failing) and all(field in here and _says(graph, key, here[field], name) for field, name in failing)


def _says(graph: Reader, key: At, one: Block, name: str) -> bool:
    """Whether a block has a config of a filter; "" for any."""
    made = graph.get(applied, Applied(key.gateway, one)) if name else NOTHING
    return not name or (isinstance(made, Effect) and any(name == found for found, _ in made.configs))


# -- a route ----------------------------------------------------------------------------------------------------------


def of_rule(graph: Reader, key: At, mine: tuple[Block, ...]) -> tuple[Effect, Problem | None]:
    """What the blocks of a rule do below a listener, with those that are handed down; and why it must fail."""
    down = graph.get(handed_down, key)
    if not mine and not down:
        return NOTHING, None
    kept = mine
    if bool(mine) and graph.get(prefers_parent, key.gateway):
        taken = {one.field for one in graph.get(above, key)}
        kept = tuple(one for one in mine if one.field not in taken)
    elif any(one.field in _GUARDING for one in mine):
        kept = _guarded(graph, key, mine)
    effect, against = effects(graph, key.gateway, over(down, kept))
    if any(one.field in _ALONE for one in kept):
        effect = both((_alone(graph, key.gateway, graph.get(above, key), kept), effect))
    if against is None and kept and _reopens(graph, key, kept):
        effect = both((effect, closed(off=True)))
    return effect, against


def _guarded(graph: Reader, key: At, mine: tuple[Block, ...]) -> tuple[Block, ...]:
    """Without those that switch off what guards above: a tenant must not open what the platform closed."""
    off = _off(graph, key.gateway, mine)
    if not off:
        return mine
    theirs = {one.field for one in graph.get(guarding, key)}
    return tuple(one for one in mine if one.field not in off & theirs)


def _off(graph: Reader, gateway: Ref, mine: tuple[Block, ...]) -> set[str]:
    """Fields that guard, and that are switched off."""
    return {
        one.field for one in mine if one.field in _GUARDING and not one.refused and is_off(block(graph, gateway, one))
    }


def with_those_above(
    graph: Reader, gateway: Ref, above: Iterable[tuple[tuple[Block, ...], bool]], mine: tuple[Block, ...]
) -> tuple[Block, ...]:
    """The blocks of a rule with those of the rules that delegate to it, the first of all first.

    With True what stands above a rule goes before what is below it. Otherwise a rule's own go before, but that none
    switches off what guards above it.
    """
    found: tuple[Block, ...] = ()
    prefers = False
    for blocks_there, its in (*above, (mine, False)):
        if prefers:
            found = over(blocks_there, found)
        else:
            closed_above = {one.field for one in found} & _off(graph, gateway, blocks_there)
            found = over(found, tuple(one for one in blocks_there if one.field not in closed_above))
        prefers = its
    return found


# -- who they are -----------------------------------------------------------------------------------------------------


def stood(graph: Reader, aim: Aim) -> tuple[Stood, ...]:
    """What each policy that stands somewhere has there, and what others have."""
    first = {one.field: one.policy for one in graph.get(blocks, aim)}
    found = []
    for policy in aimed(graph, aim):
        fields = [one.field for one in blocks_of(graph, aim.gateway, policy)]
        won = tuple(field for field in fields if first.get(field) == policy)
        lost = tuple((field, first[field]) for field in fields if first.get(field, policy) != policy)
        found.append(Stood(policy, aim.gateway, won, lost))
    return tuple(found)


def stood_outputs(graph: Reader, key: Stood) -> Outputs:  # noqa: ARG001  an output query takes both
    """Tells a policy of where it stands: thousands of routes that it stands at alike tell it once."""
    return Outputs(claims=((POLICY, key.policy, key),))


def gateway_policy_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """The policies that stand at a Gateway and its listeners."""
    names = [one.name for one in graph.get(listeners, gateway) or ()]
    aims = dict.fromkeys(aim for name in ("", *names) for aim in _aims(graph, At(gateway, name)) if names)
    return Outputs(counts=tuple(dict.fromkeys((STANDING, one) for aim in aims for one in graph.get(stood, aim))))


def policy_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a TrafficPolicy; none while it stands nowhere that is ours and names nothing that is missing."""
    told: dict[Ref, list[Stood]] = {}
    for one in graph.claimed(POLICY, ref):
        told.setdefault(one.gateway, []).append(one)
    found = [_standing(graph, ref, gateway, some) for gateway, some in told.items()]
    found += _missing(graph, ref)
    return Outputs(((STATUS, str(ref), document(policy_status(graph, ref, found))),) if found else ())


def _standing(graph: Reader, ref: Ref, gateway: Ref, some: list[Stood]) -> Standing:
    won = tuple(sorted({field for one in some for field in one.won}))
    lost = tuple(sorted({pair for one in some for pair in one.lost}))
    known = [one for one in blocks_of(graph, gateway, ref) if one.field in FEATURES]
    made = [graph.get(applied, Applied(gateway, one)) for one in known]
    problems = [problem for one in made for problem in ((one,) if isinstance(one, Problem) else one.problems)]
    return Standing(gateway, won, lost, tuple(problems))


def _missing(graph: Reader, ref: Ref) -> list[Standing]:
    """Of each target that is not there an entry of its own: nobody else would tell of it."""
    found = []
    for one in items(spec_of(object_of(graph, ref)).get("targetRefs")):
        at, section = target(ref, one), str(one.get("sectionName") or "")
        if (text := missing(graph, at, section)) is not None:
            found.append(Standing(at, missing=(text,)))
    return found
