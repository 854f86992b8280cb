"""Whether a route takes a request, and each condition of it in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from envoy_data_plane.envoy.config.core.v3 import RuntimeFractionalPercent
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType

from engine.history.explain.matcher import matches_whole, of_header, of_query
from engine.history.explain.request import Seen

MILLION: Final = 1_000_000
_DENOMINATORS: Final = {
    FractionalPercentDenominatorType.HUNDRED: 100,
    FractionalPercentDenominatorType.TEN_THOUSAND: 10_000,
    FractionalPercentDenominatorType.MILLION: MILLION,
}


class Check(NamedTuple):
    """One condition of a route: what it is of ("path", "method", "header x-env"), what it wants, what was found."""

    part: str
    wants: str
    found: str | None
    met: bool


def takes(match: RouteMatch, seen: Seen) -> bool:
    """Whether all its conditions are met; how many of such requests it takes is another matter (`up_to`)."""
    return all(one.met for one in checks(match, seen))


def checks(match: RouteMatch, seen: Seen) -> Iterator[Check]:
    """Its conditions, the path first."""
    wants, met = _path(match, seen.path)
    yield Check("path", wants, seen.path, met)
    for one in match.headers:
        found = of_header(one, seen)
        part = {":method": "method", ":path": "path", ":authority": "host"}.get(one.name, f"header {one.name}")
        yield Check(part, found.words, seen.header(one.name), found.holds)
    for query in match.query_parameters:
        asked = of_query(query, seen)
        yield Check(f"query {query.name}", asked.words, seen.query.get(query.name), asked.holds)
    if match.grpc is not None:
        kind = seen.header("content-type")
        yield Check("header content-type", "is of gRPC", kind, is_grpc(kind))


def is_grpc(content_type: str | None) -> bool:
    """Whether a content type says that a call of gRPC follows."""
    return content_type is not None and content_type.partition("+")[0].partition(";")[0] == "application/grpc"


def _path(match: RouteMatch, path: str) -> tuple[str, bool]:
    cased = str.lower if match.case_sensitive is False else str
    text = cased(path)
    if match.path is not None:
        return f"is {match.path}", text == cased(match.path)
    if match.path_separated_prefix is not None:
        prefix = match.path_separated_prefix
        return f"is {prefix} or below it", text == cased(prefix) or text.startswith(f"{cased(prefix)}/")
    if match.safe_regex is not None:
        return f"matches {match.safe_regex.regex}", matches_whole(match.safe_regex.regex, path)
    prefix = match.prefix or ""
    return "is any" if prefix == "/" else f"begins with {prefix}", text.startswith(cased(prefix))


def up_to(match: RouteMatch) -> int:
    """Of a million requests those that it takes, but for what a route before it took.

    Envoy draws one number a request and holds it against each route's fraction (RouteMatch.runtime_fraction).
    """
    return MILLION if match.runtime_fraction is None else millionths(match.runtime_fraction)


def millionths(percent: RuntimeFractionalPercent) -> int:
    """The part of a million that a fraction is by itself: proxies have no runtime values of it."""
    return of_million(percent.default_value or FractionalPercent())


def of_million(value: FractionalPercent) -> int:
    """The part of a million."""
    return min(value.numerator * (MILLION // _DENOMINATORS[value.denominator]), MILLION)
