"""Routes that Envoy's field rules allow: what breaks one is answered with 500, or left out, and told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from envoy_data_plane.envoy.config.route.v3 import Route

from engine.envoy.effect import NOTHING, Effect
from engine.envoy.pgv import violation
from engine.envoy.route import ClusterOf, Place, route
from engine.outputs.channels import Around
from engine.resolve.credential import Credential
from engine.resolve.rule import ResolvedRoute
from engine.resolve.values import BackendKey, Problem, RouteEntry, Rule


class Entry(NamedTuple):
    """One match of one rule as it was emitted: its item, None when it could not be, and what stands against it."""

    rule: int
    match: int
    item: tuple[str, str, Any] | None
    broken: Problem | None
    backends: tuple[BackendKey, ...] = ()
    """Those that policies ask on the way."""
    around: tuple[Around, ...] = ()
    """What they need at the route configuration."""
    credentials: tuple[Credential, ...] = ()
    """Those that policies name."""


def lawful(
    entry: RouteEntry, cluster_of: ClusterOf, place: Place, effect: Effect = NOTHING
) -> tuple[Route | None, Problem | None]:
    """The Envoy route of an entry, and what to tell its author.

    One that breaks a rule in what it does answers its failure; one that breaks it in what it matches cannot be said.
    """
    message = route(entry, cluster_of, place, effect)
    found = violation(message)
    if found is None:
        return message, None
    where = f"spec.rules[{entry.rule_index}]"
    said = f"Envoy would not take its route: {found}"
    if found.path.startswith("match"):
        return None, Problem("UnsupportedValue", f"{where}.matches[{entry.match_index}] is not served: {said}")
    problem = Problem("UnsupportedValue", f"{where} answers {entry.rule.failure}: {said}")
    message = route(replace(entry, rule=replaced(entry.rule, problem)), cluster_of, place)
    return (message if violation(message) is None else None), problem


def replaced(rule: Rule, problem: Problem) -> Rule:
    """The rule, answering its failure to all that it matches."""
    return Rule(name=rule.name, replaced=problem, failure=rule.failure, sources=rule.sources)


def without(resolved: ResolvedRoute, entries: Iterable[Entry]) -> ResolvedRoute:
    """The route as it could be emitted: rules that lost all they do, or all their matches, are replaced."""
    lost = [one for one in entries if one.broken is not None]
    if not lost:
        return resolved
    rules, problems_of, left_out = list(resolved.rules), list(resolved.replaced), list(resolved.left_out)
    for number, item in enumerate(resolved.rules):
        mine = {one.match: one for one in lost if one.rule == number}
        problems = [one.broken for one in mine.values() if one.broken is not None]
        if not problems:
            continue
        if len(mine) == len(item.matches) or any(one.item is not None for one in mine.values()):
            rules[number] = replace(item, rule=replaced(item.rule, problems[0]))
            problems_of.append(problems[0])
        else:
            left_out += problems
    return replace(resolved, rules=tuple(rules), replaced=tuple(problems_of), left_out=tuple(left_out))
