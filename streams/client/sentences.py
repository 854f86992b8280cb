"""What changed for requests, in sentences as `penstock diff` says them: "host a.example.com: /pay moved from b to c".

Made from a node as it was and as it is, so from public records alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product, zip_longest

from streams.client.values import Match, NodeChanged, PathMatch, Route, Rule

_Ways = dict[tuple[str, Match], list[str]]
"""Where requests go, by host and all that they must be like: what each rule says that takes such, in order."""


def sentences(change: NodeChanged) -> tuple[str, ...]:
    """The sentences of a route that changed, sorted; none for other nodes, and for what requests do not notice."""
    if not change.node.startswith("route/"):
        return ()
    if change.before is None and change.after is None:
        return (f"route {_short(change.node.removeprefix('route/'))} is {_verb(change)}",)
    before, after = (Route.model_validate(one) if one is not None else None for one in (change.before, change.after))
    if before is not None and after is not None and _is_of_two_versions(before, after):
        before, after = _bare(before), _bare(after)
    return tuple(sorted(_told(_ways(before), _ways(after))))


def _verb(change: NodeChanged) -> str:
    return {"added": "new", "removed": "gone"}.get(change.verb, "another one")


def _told(before: _Ways, after: _Ways) -> Iterator[str]:
    for way in before.keys() | after.keys():
        host, match = way
        old, new = before.get(way, []), after.get(way, [])
        rules = max(len(old), len(new))
        for number, (was, goes) in enumerate(zip_longest(old, new), 1):
            which = f" ({_ordinal(number)} of {rules} rules)" if rules > 1 else ""
            yield from _moved(f"host {host}: {match}{which}", was, goes)


def _moved(way: str, was: str | None, goes: str | None) -> Iterator[str]:
    if was is None:
        yield f"{way} is new" + (f", goes to {goes}" if goes else "")
    elif goes is None:
        yield f"{way} is gone" + (f", went to {was}" if was else "")
    elif was != goes:
        yield f"{way} moved from {was or 'nowhere'} to {goes or 'nowhere'}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _ways(route: Route | None) -> _Ways:
    found: _Ways = {}
    for rule in route.rules if route is not None else ():
        matches = dict.fromkeys(map(_canonical, rule.matches)) or [Match(path=PathMatch(type="PathPrefix", value="/"))]
        for way in product(route.hostnames if route is not None else (), matches):
            found.setdefault(way, []).append(_target(rule))
    return found


def _canonical(match: Match) -> Match:
    """The same for all that take the same: a slash at the end of a prefix says nothing."""
    path = match.path
    if path.type == "PathPrefix":
        path = PathMatch(type=path.type, value=path.value.rstrip("/") or "/")
    return match.model_copy(update={"path": path, "method": match.method or None})


def _is_of_two_versions(before: Route, after: Route) -> bool:
    """Whether an engine wrote one of them that left headers and query parameters out: it is the same spec."""
    return before.generation == after.generation and (_bare(before) == before or _bare(after) == after)


def _bare(route: Route) -> Route:
    bare = {"headers": (), "query_params": ()}
    rules = (
        one.model_copy(update={"matches": tuple(match.model_copy(update=bare) for match in one.matches)})
        for one in route.rules
    )
    return route.model_copy(update={"rules": tuple(rules)})


def _target(rule: Rule) -> str:
    if rule.replaced is not None:
        return f"an error ({rule.replaced})"
    named = [(_short(one.backend) if one.backend else f"an error ({one.problem})", one.weight) for one in rule.backends]
    named += [(f"routes of {one}", 1) for one in rule.delegates]
    if named and not any(weight for _, weight in named):
        return "an error (all weights are 0)"
    if len(named) == 1:
        return named[0][0]
    return " and ".join(f"{name} ({weight})" for name, weight in named)


def _short(ref: str) -> str:
    """`default/pay:8080` of an object and its port."""
    return "/".join(ref.split("/")[3:])
