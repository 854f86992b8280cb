"""What the fields of BackendConfigPolicies that are in force at a backend make of its cluster, all together."""

from __future__ import annotations

from dataclasses import dataclass

from engine.envoy.cluster import cluster
from engine.envoy.pgv import violation
from engine.envoy.shape import Shape
from engine.graph.reader import Reader
from engine.policies.backend_config.feature import Asked, Feature, Use
from engine.policies.backend_config.features import FEATURES
from engine.ref import Ref
from engine.resolve.backend_config import TLS, At, in_force
from engine.resolve.policy import Block, value
from engine.resolve.values import PENDING, Backend, Over, Problem


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be told of the policies at a cluster: what stands against which, and who beats the `tls` of which."""

    problems: tuple[tuple[Ref, Problem], ...] = ()
    beaten: tuple[tuple[Ref, Ref], ...] = ()
    closed: bool = False
    """The backend must not be spoken to."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """The shape of a cluster, whose each field is, and what is to be told."""

    shape: Shape = Shape()
    fields: tuple[tuple[str, Ref], ...] = ()
    told: Told = Told()


def shaped(graph: Reader, backend: Backend, use: Use) -> Shaped:
    """What is in force at a backend; `backend.tls` is a BackendTLSPolicy's, which goes before any `tls`."""
    shape, fields = Shape(), []
    problems: list[tuple[Ref, Problem]] = []
    beaten: list[tuple[Ref, Ref]] = []
    closed = False
    for one in graph.get(in_force, At(use.gateway, use.backend.ref)):
        feature = FEATURES.get(one.field)
        if feature is None or (one.field == TLS and use.backend.over in (Over.RAW, Over.UDP)):
            continue
        if one.field == TLS and backend.tls is not None:
            beaten.append((one.policy, backend.tls.policy))
            continue
        made = _made(graph, feature, one, backend, use)
        if isinstance(made, Problem):
            problems.append((one.policy, made))
            closed = closed or feature.closes
            continue
        shape = made.over(shape)
        fields.append((one.field, one.policy))
    return Shaped(shape, tuple(fields), Told(tuple(problems), tuple(beaten), closed))


def _made(graph: Reader, feature: Feature, one: Block, backend: Backend, use: Use) -> Shape | Problem:
    """What one field makes of the cluster; of what Envoy would not take nothing, so that the others stay."""
    if one.refused:
        return _problem(feature, Problem("Invalid", "no revision of the policy can be served"))
    asked = Asked(use.gateway, one.policy)
    said = value(graph, use.gateway, one) if feature.resolve is None else graph.get(feature.resolve, asked)
    made = feature.shape(said, use)
    if isinstance(made, Shape):
        broken = violation(cluster(backend, use.name, made))
        if broken is None:
            return made
        made = Problem("Invalid", f"Envoy would not take it: in its cluster, {broken}")
    return _problem(feature, made)


def _problem(feature: Feature, problem: Problem) -> Problem:
    """With its consequence."""
    if problem.reason == PENDING:
        return problem
    what = "the backend is not spoken to" if feature.closes else "this field is not in force"
    return Problem(problem.reason, f"spec.{feature.field}: {problem.message}; until it is mended, {what}")
