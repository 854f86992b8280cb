"""A reference matcher written straight from the Gateway API specification's text; it shares nothing with the engine.

Sources: Listener.hostname, HTTPRouteSpec.hostnames and HTTPRouteRule.matches (precedence), HTTPPathMatch,
HTTPHeaderMatch, HTTPQueryParamMatch of Gateway API v1.6. Regular expressions are Envoy's: they match as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

REFUSED = "refused"
"""No listener takes the connection."""
MISDIRECTED = "421"
"""Another listener is the one for that host (RFC 9110, 15.5.20)."""


class Text(NamedTuple):
    """A header or query parameter that must be there."""

    name: str
    value: str
    regex: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One entry of `matches`; every part that is given must hold."""

    path_type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    path: str = "/"
    method: str | None = None
    headers: tuple[Text, ...] = ()
    query: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A route whose rules are named by their position; `section` is the one listener that it names, None for all."""

    name: str
    created: str
    hostnames: tuple[str, ...]
    rules: tuple[tuple[Match, ...], ...]
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener of the Gateway; all that end TLS share a port, and so do the others. `hostname` "" is any."""

    name: str
    tls: bool
    hostname: str


@dataclass(frozen=True, slots=True)
class Table:
    """A Gateway's listeners with the routes that name it."""

    listeners: tuple[Listener, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks; `sni` is the name in its TLS handshake, None for plain HTTP."""

    host: str
    path: str
    query: str
    method: str
    headers: tuple[tuple[str, str], ...]
    sni: str | None = None


def answering(table: Table, request: Request) -> str | None:
    """The rule ("route/index") that must answer; None for 404, REFUSED or MISDIRECTED.

    "Incoming requests on a Listener's port are only matched with routes attached to the most specific listener". With
    TLS the name of the handshake chose the listener. "If another Listener has an exact match or more specific wildcard
    entry, the Gateway SHOULD return a 421. If the current Listener does not match the Host: if another Listener does
    match the Host, the Gateway SHOULD return a 421; if no other Listener matches the Host, the Gateway MUST return a
    404."
    """
    port = [one for one in table.listeners if one.tls is (request.sni is not None)]
    of_host = _most_specific(port, request.host)
    if request.sni is None:
        listener = of_host
    else:
        listener = _most_specific(port, request.sni)
        if listener is None:
            return REFUSED
        if of_host is not None and of_host != listener:
            return MISDIRECTED
    if listener is None or of_host is None:
        return None
    return _rule(_attached(table.routes, listener), request)


def _most_specific(listeners: Iterable[Listener], host: str) -> Listener | None:
    found = [one for one in listeners if _host_matches(one.hostname or "*", host)]
    return min(found, key=lambda one: _host_rank(one.hostname or "*")) if found else None


def _attached(routes: Sequence[Route], listener: Listener) -> list[tuple[Route, tuple[str, ...]]]:
    """The routes of a listener, each with the hostnames that it has there: the intersection."""
    found = []
    for route in routes:
        if route.section in {None, listener.name}:
            both = [_common(one, listener.hostname or "*") for one in route.hostnames or ("*",)]
            found.append((route, tuple(one for one in both if one is not None)))
    return found


def _common(one: str, other: str) -> str | None:
    """Two names such as "*.example.com" and "*.com" have "*.example.com" in common; "a.example.com" is within both."""
    for narrow, wide in ((one, other), (other, one)):
        if wide in (narrow, "*") or (wide.startswith("*.") and narrow.endswith(wide[1:]) and narrow != "*"):
            return narrow
    return None


def _rule(routes: list[tuple[Route, tuple[str, ...]]], request: Request) -> str | None:
    """The rule of the most specific hostname: a proxy chooses a virtual host by hostname alone, then a rule in it.

    "precedence must be given to rules from the HTTPRoute with the largest number of characters in a matching
    non-wildcard hostname, then of characters in a matching hostname"; there is no falling back from it.
    """
    hostnames = {one for _, names in routes for one in names if _host_matches(one, request.host)}
    if not hostnames:
        return None
    best = min(hostnames, key=_host_rank)
    found = [
        (_match_rank(match), _age(route), index, position, f"{route.name}/{index}")
        for route, names in routes
        if best in names
        for index, rule in enumerate(route.rules)
        for position, match in enumerate(rule)
        if _matches(match, request)
    ]
    return min(found)[-1] if found else None


def _host_matches(hostname: str, host: str) -> bool:
    """A wildcard label stands for one or more labels: "*.example.com" matches a.b.example.com, not example.com."""
    if hostname == "*":
        return True
    if hostname.startswith("*."):
        return host.endswith(hostname[1:]) and len(host) > len(hostname) - 1
    return host == hostname


def _host_rank(hostname: str) -> tuple[int, int]:
    return (0 if not hostname.startswith("*") else 1, -len(hostname))


def _matches(match: Match, request: Request) -> bool:
    headers = {name.lower(): value for name, value in request.headers}
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query.setdefault(name, value)
    return (
        _path_matches(match, request.path)
        and match.method in {None, request.method}
        and all(_text_matches(one, headers.get(one.name.lower())) for one in match.headers)
        and all(_text_matches(one, query.get(one.name)) for one in match.query)
    )


def _text_matches(text: Text, value: str | None) -> bool:
    if value is None or not text.regex:
        return value == text.value
    return re.fullmatch(text.value, value) is not None


def _path_matches(match: Match, path: str) -> bool:
    """A prefix matches by whole elements, and its trailing slash is ignored."""
    if match.path_type == "Exact":
        return path == match.path
    if match.path_type == "RegularExpression":
        return re.fullmatch(match.path, path) is not None
    prefix = match.path.rstrip("/")
    return path == prefix or path.startswith(prefix + "/")


_PATHS = {"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}


def _match_rank(match: Match) -> tuple[int, int, int, int, int]:
    """Exact path; longest prefix; method; most headers; most query parameters.

    The specification leaves the place of regular expressions to the implementation: ours is last (docs/decisions/0006).
    """
    return (
        _PATHS[match.path_type],
        -len(match.path) if match.path_type == "PathPrefix" else 0,
        0 if match.method else 1,
        -len(match.headers),
        -len(match.query),
    )


def _age(route: Route) -> tuple[str, str]:
    """The oldest, then the first by name; the first rule of a route then wins by its index."""
    return route.created, route.name
