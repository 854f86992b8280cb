"""A reference matcher written straight from the Gateway API specification's text; it shares nothing with the engine.

Sources: HTTPRouteSpec.hostnames and HTTPRouteRule.matches (precedence), HTTPPathMatch, HTTPHeaderMatch,
HTTPQueryParamMatch of Gateway API v1.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Match:
    """One entry of `matches`; every part that is given must hold."""

    path_type: Literal["Exact", "PathPrefix"] = "PathPrefix"
    path: str = "/"
    method: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A route whose rules are named by their position."""

    name: str
    created: str
    hostnames: tuple[str, ...]
    rules: tuple[tuple[Match, ...], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks."""

    host: str
    path: str
    query: str
    method: str
    headers: tuple[tuple[str, str], ...]


def answering(routes: Sequence[Route], request: Request) -> str | None:
    """The rule ("route/index") that must answer; None for 404.

    "precedence must be given to rules from the HTTPRoute with the largest number of characters in a matching
    non-wildcard hostname, then of characters in a matching hostname". The most specific hostname is decided first, and
    there is no falling back from it: a proxy chooses a virtual host by hostname alone, then a rule in it.
    """
    hostnames = {one for route in routes for one in route.hostnames or ("*",) if _host_matches(one, request.host)}
    if not hostnames:
        return None
    best = min(hostnames, key=_host_rank)
    found = [
        (_match_rank(match), _age(route), index, position, f"{route.name}/{index}")
        for route in routes
        if best in (route.hostnames or ("*",))
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
        and all(headers.get(name.lower()) == value for name, value in match.headers)
        and all(query.get(name) == value for name, value in match.query)
    )


def _path_matches(match: Match, path: str) -> bool:
    """A prefix matches by whole elements, and its trailing slash is ignored."""
    if match.path_type == "Exact":
        return path == match.path
    prefix = match.path.rstrip("/")
    return path == prefix or path.startswith(prefix + "/")


def _match_rank(match: Match) -> tuple[int, int, int, int, int]:
    """Exact path; longest prefix; method; most headers; most query parameters."""
    return (
        0 if match.path_type == "Exact" else 1,
        -len(match.path) if match.path_type == "PathPrefix" else 0,
        0 if match.method else 1,
        -len(match.headers),
        -len(match.query),
    )


def _age(route: Route) -> tuple[str, str]:
    """The oldest, then the first by name; the first rule of a route then wins by its index."""
    return route.created, route.name
