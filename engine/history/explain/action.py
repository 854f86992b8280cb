"""What a route does to a request that it takes: redirect, answer, or hand on, with path and host as they become."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple

from envoy_data_plane.envoy.config.route.v3 import (
    RedirectAction,
    RedirectActionRedirectResponseCode,
    Route,
    RouteAction,
    RouteActionClusterNotFoundResponseCode,
    RouteMatch,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute

from engine.history.explain.matcher import compiled
from engine.history.explain.request import Seen, without_query

_CODES: Final = {
    RedirectActionRedirectResponseCode.MOVED_PERMANENTLY: 301,
    RedirectActionRedirectResponseCode.FOUND: 302,
    RedirectActionRedirectResponseCode.SEE_OTHER: 303,
    RedirectActionRedirectResponseCode.TEMPORARY_REDIRECT: 307,
    RedirectActionRedirectResponseCode.PERMANENT_REDIRECT: 308,
}
_NOT_FOUND: Final = {
    RouteActionClusterNotFoundResponseCode.SERVICE_UNAVAILABLE: 503,
    RouteActionClusterNotFoundResponseCode.NOT_FOUND: 404,
    RouteActionClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR: 500,
}


class Target(NamedTuple):
    """A cluster that requests go to: the share of them, and the host that they are sent with; None as it was."""

    cluster: str
    share: Fraction
    host: str | None = None


def targets(action: RouteAction, seen: Seen) -> Iterator[Target]:
    """Where its requests go."""
    weighted = action.weighted_clusters
    if weighted is not None:
        total = sum(one.weight or 0 for one in weighted.clusters)
        for one in weighted.clusters:
            if one.weight:
                yield Target(one.name, Fraction(one.weight, total), one.host_rewrite_literal or None)
    elif action.cluster_header is not None:
        yield Target(seen.header(action.cluster_header) or "", Fraction(1))
    else:
        yield Target(action.cluster or "", Fraction(1))


def missing_cluster(action: RouteAction) -> int:
    """What is answered when a cluster is not there."""
    return _NOT_FOUND[action.cluster_not_found_response_code]


def host_for(action: RouteAction, target: Target, seen: Seen) -> str | None:
    """The host that a backend is asked for; None where it is the backend's own name."""
    if target.host is not None:
        return target.host
    if action.host_rewrite_literal:
        return action.host_rewrite_literal
    if action.host_rewrite_header:
        return seen.header(action.host_rewrite_header) or seen.host
    if action.host_rewrite_path_regex is not None:
        return replaced(action.host_rewrite_path_regex, seen.path) or seen.host
    return None if action.auto_host_rewrite else seen.host


def path_for(route: Route, seen: Seen) -> str:
    """The path that a backend is asked for, with its query."""
    action = route.route
    if action is None:
        return seen.headers[":path"]
    return _rewritten(route.match, action.prefix_rewrite or "", action.regex_rewrite, seen)


def _rewritten(match: RouteMatch | None, prefix: str, regex: RegexMatchAndSubstitute | None, seen: Seen) -> str:
    whole = seen.headers[":path"]
    if prefix:
        return prefix + whole[len(_matched(match or RouteMatch(), seen)) :]
    if regex is not None:
        path = without_query(whole)
        return replaced(regex, path) + whole[len(path) :]
    return whole


def _matched(match: RouteMatch, seen: Seen) -> str:
    """The part of a path that a rewrite of the prefix replaces."""
    if match.path_separated_prefix is not None:
        return match.path_separated_prefix
    return match.prefix if match.prefix is not None else seen.path


def redirect(route: Route, action: RedirectAction, seen: Seen) -> tuple[int, str]:
    """Status and Location."""
    whole = _rewritten(route.match, action.prefix_rewrite or "", action.regex_rewrite, seen)
    scheme = action.scheme_redirect or ("https" if action.https_redirect else seen.headers[":scheme"])
    port = f":{action.port_redirect}" if action.port_redirect else ""
    host = action.host_redirect or _own_host(seen, scheme, port)
    path, mark, query = whole.partition("?")
    says_query = "?" in (action.path_redirect or "")
    if action.path_redirect:
        path = action.path_redirect
    if says_query or action.strip_query:
        mark, query = "", ""
    return _CODES[action.response_code], f"{scheme}://{host}{port}{path}{mark}{query}"


def _own_host(seen: Seen, scheme: str, port: str) -> str:
    """The request's host; without its port where another is given, or where it is that of the scheme it came over."""
    bare, colon, said = seen.host.rpartition(":")
    if not colon or "]" in said:
        return seen.host
    came_over = seen.headers["x-forwarded-proto"]
    is_its_own = (came_over, said) in (("http", "80"), ("https", "443"))
    return bare if port or (scheme != came_over and is_its_own) else seen.host


def replaced(rewrite: RegexMatchAndSubstitute, text: str) -> str:
    """All that a regular expression matches, replaced; as RE2 does it, one empty match is none behind another."""
    if rewrite.pattern is None:
        return text
    pattern = compiled(rewrite.pattern.regex)
    out: list[str] = []
    at, last = 0, -1
    while at <= len(text) and (found := pattern.search(text, at)) is not None:
        out.append(text[at : found.start()])
        if found.start() == found.end() == last:
            out.append(text[at : at + 1])
            at += 1
            continue
        out.append(_filled(rewrite.substitution, found))
        at = last = found.end()
    return "".join(out) + text[at:]


def _filled(template: str, found: object) -> str:
    """A substitution with its groups: a backslash and a digit, and two backslashes for one."""
    out, at = "", 0
    while at < len(template):
        one = template[at]
        if one == "\\" and at + 1 < len(template):
            after = template[at + 1]
            out += (found.group(int(after)) or "") if after.isdecimal() else after  # type: ignore[attr-defined]
            at += 2
        else:
            out += one
            at += 1
    return out
