"""DirectResponse: a rule that names it answers itself; it cannot have another action."""

from __future__ import annotations

from dataclasses import replace

import orjson

from engine.graph.reader import Json, Reader
from engine.resolve.manifest import KGATEWAY, mapping, served_object, spec_of
from engine.resolve.rule_extension import Named, RuleExtension
from engine.resolve.values import Direct, Problem, Rule


def direct(graph: Reader, key: Named) -> Direct:
    """The answer as a Gateway is served it; whatever else changes in the object stops here."""
    spec = spec_of(served_object(graph, key.gateway, key.ref))
    given: Json = mapping(spec.get("bodyFormat"))
    json = given.get("json")
    return Direct(
        int(spec["status"]),
        str(spec.get("body") or ""),
        str(given.get("text") or ""),
        "" if json is None else orjson.dumps(dict(json), option=orjson.OPT_SORT_KEYS).decode(),
        str(given.get("contentType") or ""),
    )


def _apply(graph: Reader, key: Named, rule: Rule) -> Rule | Problem:
    other = _other(rule)
    if other:
        text = f"DirectResponse {key.ref.namespace}/{key.ref.name} stands beside {other}, and a rule does one thing: "
        return Problem("IncompatibleFilters", f"{text}remove one of the two; until then the rule fails")
    return replace(rule, direct=graph.get(direct, key))


def _other(rule: Rule) -> str:
    """What the rule does already, in words; "" for nothing."""
    if rule.direct is not None:
        return "another DirectResponse"
    if rule.redirect is not None:
        return "a RequestRedirect"
    return "backendRefs" if rule.destinations or rule.delegates else ""


EXTENSION = RuleExtension(KGATEWAY, "DirectResponse", _apply)
