"""ExtensionRef filters of a rule: the one place that knows which kinds they may name, and what cannot be used."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import engine.resolve.rule_extensions
from engine.graph.reader import Json, Reader
from engine.presence import modules, told_apart
from engine.ref import Ref
from engine.resolve.attachment import Served
from engine.resolve.manifest import held_fact, items, mapping, metadata_of, object_of
from engine.resolve.policy import Policy, standing
from engine.resolve.rule_extension import Named, RuleExtension
from engine.resolve.values import Problem, Rule

_FOUND: Final[list[RuleExtension]] = [one.EXTENSION for one in modules(engine.resolve.rule_extensions)]
EXTENSIONS: Final = told_apart(_FOUND, lambda one: (one.group, one.kind))
"""By group and kind."""


def is_served(item: Json) -> bool:
    """Whether an extensionRef names a kind that is served."""
    return (item.get("group"), item.get("kind")) in EXTENSIONS


def _ref(key: Served, item: Json) -> Ref:
    return Ref(key.route.cluster, str(item["group"]), str(item["kind"]), key.route.namespace, str(item["name"]))


def policies(graph: Reader, key: Served, rule: Json) -> tuple[Ref, ...]:
    """The policies that ExtensionRefs of a rule name, and that are there, the oldest first, then by namespace/name."""
    named = [mapping(one.get("extensionRef")) for one in items(rule.get("filters"))]
    refs = [_ref(key, one) for one in named if is_served(one) and EXTENSIONS[one["group"], one["kind"]].apply is None]
    found = [
        graph.get(standing, Policy(key.gateway, one)) for one in dict.fromkeys(refs) if graph.read(one) is not None
    ]
    return tuple(one.policy for one in sorted(found))


def extended(graph: Reader, key: Served, rule: Rule, named: tuple[Json, ...], unresolved: list[Problem]) -> Rule:
    """The rule with all that its extensionRefs ask for, in their order; one that cannot be had replaces the rule.

    A filter that cannot be resolved must not be skipped (HTTPRouteFilter.extensionRef). What is absent is told as an
    unresolved reference too.
    """
    for item in named:
        ref = _ref(key, item)
        apply = EXTENSIONS[ref.group, ref.kind].apply
        resource = graph.read(ref)
        if resource is None:
            problem = _absent(ref)
            unresolved.append(problem)
            return _replaced(rule, problem)
        if apply is None:
            if (against := _unusable(graph, Named(key.gateway, ref))) is not None:
                return _replaced(rule, against)
            continue
        generation = int(metadata_of(object_of(graph, ref)).get("generation") or 0)
        rule = replace(rule, sources=(*rule.sources, (ref, generation)))
        against = _unusable(graph, Named(key.gateway, ref))
        applied = against or apply(graph, Named(key.gateway, ref), rule)
        if isinstance(applied, Problem):
            return _replaced(rule, applied)
        rule = applied
    return rule


def _absent(ref: Ref) -> Problem:
    text = f"{ref.kind} {ref.namespace}/{ref.name}, which an ExtensionRef names, does not exist"
    return Problem("ExtensionNotFound", f"{text}: until it does, the rule fails")


def _unusable(graph: Reader, key: Named) -> Problem | None:
    """What stands against all revisions of an object: its model takes none, or a proxy rejected the only one."""
    resource, name = graph.read(key.ref), f"{key.ref.kind} {key.ref.namespace}/{key.ref.name}"
    if resource is None or resource.object is None:
        text = f"{name}: {resource.refusal if resource is not None else ''}: mend it; until then the rule fails"
        return Problem("UnsupportedValue", text)
    if resource.previous is None and graph.fact(held_fact(*key)):
        text = f"a proxy rejected {name}, and there is no earlier revision: see penstock status, then mend it"
        return Problem("Quarantined", text)
    return None


def _replaced(rule: Rule, problem: Problem) -> Rule:
    return Rule(name=rule.name, replaced=problem, failure=rule.failure, sources=rule.sources)
