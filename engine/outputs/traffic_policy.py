"""TrafficPolicies as their authors see them: what of each is in force where it stands, and its status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import POLICY, STANDING, STATUS, Stood
from engine.outputs.policies import Applied, At, aims, applied, guarding, in_force, opening_nothing
from engine.policies.features import FEATURES
from engine.ref import Ref
from engine.resolve.held import rejected
from engine.resolve.listener import listeners
from engine.resolve.manifest import held_fact, items, object_of, spec_of
from engine.resolve.policy import Aim, Block, aimed, blocks, blocks_of, missing
from engine.resolve.targets import target
from engine.resolve.values import Problem
from engine.status.policy import Standing, policy_status


class Below(NamedTuple):
    """Key of `stood`: where policies stand, and what guards farther out, which they cannot switch off."""

    aim: Aim
    guards: tuple[Block, ...] = ()


def stood(graph: Reader, key: Below) -> tuple[Stood, ...]:
    """What each policy that stands somewhere has there, and what others have."""
    return stood_among(graph, key.aim.gateway, aimed(graph, key.aim), graph.get(blocks, key.aim), key.guards)


def stood_among(
    graph: Reader, gateway: Ref, policies: Iterable[Ref], there: Iterable[Block], guards: tuple[Block, ...] = ()
) -> tuple[Stood, ...]:
    """What each of the policies of one place has of the blocks that are in force there, below what guards."""
    every, theirs = tuple(there), {one.field: one.policy for one in guards}
    kept = opening_nothing(graph, gateway, every, guards) if guards else every
    left = {(one.field, part.policy) for one in kept for part in one.parts}
    passed = {(one.field, part.policy) for one in every for part in one.parts} - left
    whose: dict[str, tuple[Ref, ...]] = {field: (theirs[field],) for field, _ in passed}
    whose |= {one.field: graph.get(in_force, Applied(gateway, one)) for one in kept}
    found = []
    for policy in policies:
        fields = [one.field for one in blocks_of(graph, gateway, policy) if one.field in whose]
        shut = tuple(field for field in fields if (field, policy) in passed)
        won = tuple(field for field in fields if policy in whose[field] and field not in shut)
        first = {field: theirs[field] if field in shut else whose[field][0] for field in fields}
        lost = tuple((field, first[field]) for field in fields if field not in won)
        shared = tuple(field for field in won if len(whose[field]) > 1)
        found.append(Stood(policy, gateway, won, lost, shared, shut))
    return tuple(found)


def stood_outputs(graph: Reader, key: Stood) -> Outputs:  # noqa: ARG001  an output query takes both
    """Tells a policy of where it stands: thousands of routes that it stands at alike tell it once."""
    return Outputs(claims=((POLICY, key.policy, key),))


def gateway_policy_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """The policies that stand at a Gateway and its listeners."""
    names = [one.name for one in graph.get(listeners, gateway) or ()]
    found = dict.fromkeys(aim for name in ("", *names) for aim in aims(graph, At(gateway, name)) if names)
    places = [Below(aim, graph.get(guarding, At(gateway, "")) if aim.target != gateway else ()) for aim in found]
    return Outputs(counts=tuple(dict.fromkeys((STANDING, one) for place in places for one in graph.get(stood, place))))


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
    shared = tuple(sorted({field for one in some for field in one.shared}))
    shut = tuple(sorted({field for one in some for field in one.shut}))
    known = [one for one in blocks_of(graph, gateway, ref) if one.field in FEATURES]
    made = [graph.get(applied, Applied(gateway, one)) for one in known]
    problems = [problem for one in made for problem in ((one,) if isinstance(one, Problem) else one.problems)]
    if graph.fact(held_fact(gateway, ref)):
        problems.insert(0, Problem("Invalid", rejected(graph, gateway, ref)))
    return Standing(gateway, won, lost, tuple(problems), shared=shared, shut=shut)


def _missing(graph: Reader, ref: Ref) -> list[Standing]:
    """Of each target that is not there an entry of its own: nobody else would tell of it."""
    found = []
    for one in items(spec_of(object_of(graph, ref)).get("targetRefs")):
        at, section = target(ref, one), str(one.get("sectionName") or "")
        if (text := missing(graph, at, section)) is not None:
            found.append(Standing(at, missing=(text,)))
    return found
