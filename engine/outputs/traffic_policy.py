"""TrafficPolicies as their authors see them: what of each is in force where it stands, and its status."""

from __future__ import annotations

from collections.abc import Iterable

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import POLICY, STANDING, STATUS, Stood
from engine.outputs.policies import Applied, At, aims, applied, in_force
from engine.policies.features import FEATURES
from engine.ref import Ref
from engine.resolve.listener import listeners
from engine.resolve.manifest import items, object_of, spec_of
from engine.resolve.policy import Aim, Block, aimed, blocks, blocks_of, missing
from engine.resolve.targets import target
from engine.resolve.values import Problem
from engine.status.policy import Standing, policy_status


def stood(graph: Reader, aim: Aim) -> tuple[Stood, ...]:
    """What each policy that stands somewhere has there, and what others have."""
    return stood_among(graph, aim.gateway, aimed(graph, aim), graph.get(blocks, aim))


def stood_among(graph: Reader, gateway: Ref, policies: Iterable[Ref], there: Iterable[Block]) -> tuple[Stood, ...]:
    """What each of the policies of one place has of the blocks that are in force there."""
    whose = {one.field: graph.get(in_force, Applied(gateway, one)) for one in there}
    found = []
    for policy in policies:
        fields = [one.field for one in blocks_of(graph, gateway, policy) if one.field in whose]
        won = tuple(field for field in fields if policy in whose[field])
        lost = tuple((field, whose[field][0]) for field in fields if policy not in whose[field])
        shared = tuple(field for field in won if len(whose[field]) > 1)
        found.append(Stood(policy, gateway, won, lost, shared))
    return tuple(found)


def stood_outputs(graph: Reader, key: Stood) -> Outputs:  # noqa: ARG001  an output query takes both
    """Tells a policy of where it stands: thousands of routes that it stands at alike tell it once."""
    return Outputs(claims=((POLICY, key.policy, key),))


def gateway_policy_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """The policies that stand at a Gateway and its listeners."""
    names = [one.name for one in graph.get(listeners, gateway) or ()]
    found = dict.fromkeys(aim for name in ("", *names) for aim in aims(graph, At(gateway, name)) if names)
    return Outputs(counts=tuple(dict.fromkeys((STANDING, one) for aim in found for one in graph.get(stood, aim))))


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
    known = [one for one in blocks_of(graph, gateway, ref) if one.field in FEATURES]
    made = [graph.get(applied, Applied(gateway, one)) for one in known]
    problems = [problem for one in made for problem in ((one,) if isinstance(one, Problem) else one.problems)]
    return Standing(gateway, won, lost, tuple(problems), shared=shared)


def _missing(graph: Reader, ref: Ref) -> list[Standing]:
    """Of each target that is not there an entry of its own: nobody else would tell of it."""
    found = []
    for one in items(spec_of(object_of(graph, ref)).get("targetRefs")):
        at, section = target(ref, one), str(one.get("sectionName") or "")
        if (text := missing(graph, at, section)) is not None:
            found.append(Standing(at, missing=(text,)))
    return found
