"""An explanation as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.history.routing import backend

_SHOWN: Final = 12
"""Routes that lose which a person reads, the nearest first; all are in JSON."""
_ENDPOINTS: Final = 6
_WIDTH: Final = 100
Told = Mapping[str, Any]


def lines(told: Told) -> Iterator[str]:
    """Without the table of objects."""
    yield f"Gateway {told['gateway']}"
    if "listener" in told:
        yield from _listener(told["listener"])
    if "virtualHost" in told:
        yield from _host(told["virtualHost"])
    yield from _routes(told.get("routes", ()))
    yield from _section("filters, in order", (_filter(one) for one in told.get("filters", ()) if _matters(one)))
    yield from _section("policies in force", (_set(one) for one in told.get("policies", ())))
    yield from _section("beside", (_feature(one) for one in told.get("features", ())))
    yield from _section("answer", _answers(told))


def _section(name: str, found: Iterator[str]) -> Iterator[str]:
    some = list(found)
    if some:
        yield f"  {name}"
        yield from (f"    {one}" for one in some)


def _listener(told: Told) -> Iterator[str]:
    chain = "" if told["filterChain"] == told["name"] else f", filter chain {told['filterChain']}"
    names = f" by TLS name {', '.join(told['serverNames'])}" if told["serverNames"] else ""
    yield f"  listener {told['name']}{chain}{names}"
    yield from (f"    {_set(one)}" for one in told["set"])


def _host(told: Told) -> Iterator[str]:
    if not told["name"]:
        yield f"  virtual host: none of {told['routeConfiguration']} takes the host {told['host']}"
    else:
        yield f"  virtual host {told['name']}, by the domain {told['domain'] or '*'}"


def _routes(routes: Sequence[Told]) -> Iterator[str]:
    """Those that win, and of the others those that come nearest: the fewest conditions that are not met."""
    losing = [one for one in routes if not one["wins"]]
    near = sorted(losing, key=lambda one: (sum(not check["met"] for check in one["checks"]), not _is_path_met(one)))
    shown = [id(one) for one in near[:_SHOWN]]
    found = [one for one in routes if one["wins"] or id(one) in shown]
    yield from _section("routes, in order", (_route(one) for one in found))
    if len(losing) > _SHOWN:
        yield f"    and {len(losing) - _SHOWN} more that lose"


def _is_path_met(one: Told) -> bool:
    return all(check["met"] for check in one["checks"] if check["part"] == "path")


def _route(one: Told) -> str:
    wants = ", ".join(f"{check['part']} {check['wants']}" for check in one["checks"])
    return f"{'wins ' if one['wins'] else 'loses'} {one['rule'] or one['route']} ({wants}): {one['because']}"


def _matters(one: Told) -> bool:
    """Some filters stand everywhere and do nothing until something says what."""
    return bool(one["objects"]) or one["says"] != "lets it through"


def _filter(one: Told) -> str:
    named = one["name"] if one["name"] == one["field"] else f"{one['field']} ({one['name']})"
    return f"{named} {one['says']}{_by(one['objects'])}"


def _by(objects: Sequence[str]) -> str:
    return f", set by {', '.join(objects)}" if objects else ""


def _set(one: Told) -> str:
    over = f", over that of {', '.join(one['over'])}" if one["over"] else ""
    return f"{one['field']}{_by(one['objects'])} at the {one['place']}{over}"


def _feature(one: Told) -> str:
    text = " ".join(f"{name}={_plain(value)}" for name, value in sorted(one["value"].items()))
    shown = text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
    return f"{one['feature']} {shown}{_by(one['objects'])}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_plain(one)}" for name, one in sorted(value.items()))
    return ",".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _answers(told: Told) -> Iterator[str]:
    for one in told["outcomes"]:
        share = "" if one["share"] == 1 else f"{one['share']:.1%}: "
        yield share + _answer(one)
        yield from (f"  {_set(each)}" for each in one.get("set", ()))
    if told["undecided"]:
        yield f"unless one of these decides otherwise, by more than the request: {', '.join(told['undecided'])}"
    if told["reason"]:
        yield f"for {told['reason']}"


def _answer(one: Told) -> str:
    status, name = one["status"], backend(one.get("backend", ""))
    match one["kind"]:
        case "refused":
            return "the connection is closed without an answer"
        case "filtered":
            return f"{status}, from the filter {one['by']}"
        case "redirected":
            return f"{status}, to {one['location']}"
        case "direct":
            return f"{status}, the route's own answer"
        case "unserved":
            why = "there is no such backend" if one["endpoints"] is None else "the backend has no endpoint"
            return f"{status}, {why}: {name}"
        case "forwarded":
            where = f" for {one.get('host', '(its own name)')}{one['path']}" if "path" in one else ""
            return f"from {name}{where}{_endpoints(one['endpoints'])}"
        case "streamed":
            return f"the connection goes to {name}{_endpoints(one['endpoints'])}"
    return str(status)


def _endpoints(found: Sequence[Told]) -> str:
    shown = [f"{one['address']}:{one['port']}{_health(one)}" for one in found[:_ENDPOINTS]]
    more = [f"and {len(found) - _ENDPOINTS} more"] if len(found) > _ENDPOINTS else []
    return f", at {', '.join([*shown, *more])}" if shown else ", at hosts that the proxy finds itself"


def _health(one: Told) -> str:
    parts = ([f"priority {one['priority']}"] if one["priority"] else []) + ([one["health"]] if one["health"] else [])
    return f" ({', '.join(parts)})" if parts else ""
