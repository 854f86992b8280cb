"""What changed for requests, in sentences as `penstock diff` says them: "host a.example.com: /pay moved from b to c".

Made from a node as it was and as it is, so from public records alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from streams.client.values import NodeChanged, Route, Rule


def sentences(change: NodeChanged) -> tuple[str, ...]:
    """The sentences of a route that changed, sorted; none for other nodes, and for what requests do not notice."""
    if not change.node.startswith("route/"):
        return ()
    if change.before is None and change.after is None:
        return (f"route {_short(change.node.removeprefix('route/'))} is {_verb(change)}",)
    before, after = (_ways(one) for one in (change.before, change.after))
    return tuple(sorted(_told(before, after)))


def _verb(change: NodeChanged) -> str:
    return {"added": "new", "removed": "gone"}.get(change.verb, "another one")


def _told(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for way in before.keys() | after.keys():
        if way not in before:
            yield f"{way} is new" + (f", goes to {after[way]}" if after[way] else "")
        elif way not in after:
            yield f"{way} is gone" + (f", went to {before[way]}" if before[way] else "")
        elif before[way] != after[way]:
            yield f"{way} moved from {before[way] or 'nowhere'} to {after[way] or 'nowhere'}"


def _ways(value: dict[str, object] | None) -> dict[str, str]:
    """Where requests go, by host and match; the first rule that says a match has it."""
    if value is None:
        return {}
    route = Route.model_validate(value)
    found: dict[str, str] = {}
    for rule in route.rules:
        matches = [str(one) for one in rule.matches] or ["/"]
        for host, match in product(route.hostnames, matches):
            found.setdefault(f"host {host}: {match}", _target(rule))
    return found


def _target(rule: Rule) -> str:
    if rule.replaced is not None:
        return f"an error ({rule.replaced})"
    named = [(_short(one.backend) if one.backend else f"an error ({one.problem})", one.weight) for one in rule.backends]
    named += [(f"routes of {one}", 1) for one in rule.delegates]
    if len(named) == 1:
        return named[0][0]
    return " and ".join(f"{name} ({weight})" for name, weight in named)


def _short(ref: str) -> str:
    """`default/pay:8080` of an object and its port."""
    return "/".join(ref.split("/")[3:])
