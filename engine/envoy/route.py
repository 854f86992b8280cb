"""Routes: one match of a rule as Envoy says it; the order among routes is not its business."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    Metadata,
    RuntimeFractionalPercent,
)
from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RedirectAction,
    RedirectActionRedirectResponseCode,
    Route,
    RouteAction,
    RouteActionClusterNotFoundResponseCode,
    RouteActionRequestMirrorPolicy,
    RouteActionUpgradeConfig,
    RouteMatch,
    WeightedCluster,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType
from envoy_data_plane.google.protobuf import Struct, Value

from engine.envoy.direct_response import direct_response
from engine.envoy.effect import NOTHING, Effect, merged_metadata, of_route
from engine.envoy.hashing import hash_policy
from engine.envoy.names import BLACKHOLE
from engine.envoy.retry import retry_policy
from engine.envoy.route_filters import per_filter_config
from engine.envoy.shares import shares
from engine.envoy.wire import construct
from engine.resolve.values import (
    MILLION,
    BackendKey,
    Cors,
    Destination,
    Direct,
    HeaderChange,
    Match,
    Mirror,
    PathChange,
    PathType,
    Protocol,
    Redirect,
    Rewrite,
    RouteEntry,
    Rule,
    StringMatch,
    Timeouts,
)

ClusterOf = Callable[[BackendKey], str]

_WELL_KNOWN = {"http": 80, "https": 443}
_WITH_PORT = StringMatch(":authority", ".*:[0-9]+", regex=True)
_NAMES_HEADERS = StringMatch("access-control-request-headers", ".+", regex=True)
_CODES = {
    301: RedirectActionRedirectResponseCode.MOVED_PERMANENTLY,
    302: RedirectActionRedirectResponseCode.FOUND,
    303: RedirectActionRedirectResponseCode.SEE_OTHER,
    307: RedirectActionRedirectResponseCode.TEMPORARY_REDIRECT,
    308: RedirectActionRedirectResponseCode.PERMANENT_REDIRECT,
}
_NOT_FOUND = {
    500: RouteActionClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR,
    503: RouteActionClusterNotFoundResponseCode.SERVICE_UNAVAILABLE,
}


class Place(NamedTuple):
    """Where a route stands: its listener's port and whether it ends TLS, and its virtual host's hostname."""

    port: int
    tls: bool
    hostname: str

    @property
    def host(self) -> str:
        """The one host that comes here, "" for many."""
        return "" if self.hostname.startswith("*") else self.hostname


def variants(entry: RouteEntry, place: Place) -> tuple[RouteEntry, ...]:
    """The entries that say in Envoy what one entry says: one for each share of its requests, or two.

    A narrower one stands before the other.
    """
    if entry.rule.replaced is not None:
        return (entry,)
    return tuple(one for share in shares(entry) for one in _narrowed(share, place))


def _narrowed(entry: RouteEntry, place: Place) -> tuple[RouteEntry, ...]:
    rule = entry.rule
    if rule.redirect is not None:
        return _redirected(entry, rule.redirect, place)
    if rule.cors is not None and rule.cors.credentials and "*" in rule.cors.headers:
        return _reflected(entry, rule.cors)
    return (entry,)


def _redirected(entry: RouteEntry, redirect: Redirect, place: Place) -> tuple[RouteEntry, ...]:
    """Envoy keeps the port of the Host header in Location where it is told no other.

    The specification wants the well-known one or the listener's (HTTPRequestRedirectFilter.port). One host is written
    out, without port; where many come, those who wrote a port get the right one in full.
    """
    if redirect.hostname or place.host or not _is_well_known(redirect, place):
        return (entry,)
    says_port = replace(entry.rule, redirect=replace(redirect, port=_port(redirect, place), says_port=True))
    return _narrower(entry, _WITH_PORT, says_port, "/port"), replace(entry, order=f"{entry.order}+")


def _reflected(entry: RouteEntry, cors: Cors) -> tuple[RouteEntry, ...]:
    """Envoy answers "*" with the headers that a preflight names, and one that names none with an empty list.

    With credentials such a list has to be omitted (HTTPCORSFilter.allowHeaders).
    """
    unnamed = replace(entry.rule, cors=replace(cors, headers=()))
    named = _narrower(entry, _NAMES_HEADERS, entry.rule, "/named")
    return named, replace(entry, rule=unnamed, order=f"{entry.order}+")


def _narrower(entry: RouteEntry, header: StringMatch, rule: Rule, variant: str) -> RouteEntry:
    match = replace(entry.match, headers=(*entry.match.headers, header))
    return replace(entry, match=match, rule=rule, variant=f"{entry.variant}{variant}")


def route(entry: RouteEntry, cluster_of: ClusterOf, place: Place, effect: Effect = NOTHING) -> Route:
    """The Envoy route of one match; of what policies say (`effect`) only what the rule does not say itself."""
    rule = entry.rule
    values: dict[str, Any] = {
        **of_route(effect, entry),
        "name": entry.name,
        "match": _match(entry.match, entry.share[1]),
        "metadata": _source(entry, effect),
    }
    if rule.replaced is not None:
        return construct(Route, **values, direct_response=direct_response(Direct(rule.failure)))
    values |= _headers(rule.request_headers, "request") | _headers(rule.response_headers, "response")
    values["typed_per_filter_config"] = {**dict(effect.configs), **per_filter_config(rule)}
    if rule.redirect is not None:
        return construct(Route, **values, redirect=_redirect(rule.redirect, place))
    if rule.direct is not None or not any(one.weight for one in rule.destinations):
        # Gateway API, backendRefs of HTTPRouteRule and GRPCRouteRule: no backend, or only weights of 0.
        return construct(Route, **values, direct_response=direct_response(rule.direct or Direct(rule.failure)))
    return construct(Route, **values, route=_action(entry, cluster_of, effect))


# -- matching ---------------------------------------------------------------------------------------------------------


def _match(match: Match, up_to: int) -> RouteMatch:
    headers = [_header(one) for one in match.headers]
    if match.within:
        # A regular expression may have alternatives, which begin elsewhere than its text does.
        headers.append(_header(StringMatch(":path", f"{re.escape(match.within)}([/?].*)?", regex=True)))
    if match.method:
        headers.append(_header(StringMatch(":method", match.method)))
    return construct(
        RouteMatch,
        headers=headers,
        query_parameters=[
            construct(QueryParameterMatcher, name=one.name, string_match=_string(one)) for one in match.query
        ],
        runtime_fraction=_fraction(up_to) if up_to < MILLION else None,
        **_path(match),
    )


def _path(match: Match) -> dict[str, Any]:
    if match.path_type is PathType.EXACT:
        return {"path": match.path}
    if match.path_type is PathType.REGEX:
        return {"safe_regex": construct(RegexMatcher, regex=match.path)}
    # Prefixes match whole segments and a trailing slash does not count (HTTPPathMatch, type PathPrefix).
    prefix = match.path.rstrip("/")
    return {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}


def _header(one: StringMatch) -> HeaderMatcher:
    return construct(HeaderMatcher, name=one.name.lower(), string_match=_string(one))


def _string(one: StringMatch) -> StringMatcher:
    if one.regex:
        return construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=one.value))
    return construct(StringMatcher, exact=one.value)


# -- acting -----------------------------------------------------------------------------------------------------------


def _action(entry: RouteEntry, cluster_of: ClusterOf, effect: Effect) -> RouteAction:
    rule = entry.rule
    values: dict[str, Any] = _targets(rule.destinations, cluster_of)
    values |= _timeouts(rule)
    values |= {name: value for name, value in effect.action if not _says(rule, name)}
    values |= _rewrite(rule)
    if rule.retry is not None:
        values["retry_policy"] = retry_policy(rule.retry, rule.timeouts)
    if any(one.protocol is Protocol.WEBSOCKET for one in rule.destinations):
        values["upgrade_configs"] = [construct(RouteActionUpgradeConfig, upgrade_type="websocket")]
    return construct(
        RouteAction,
        cluster_not_found_response_code=_NOT_FOUND[rule.failure],
        request_mirror_policies=[_mirror(one, entry.share, cluster_of) for one in rule.mirrors],
        hash_policy=[hash_policy(one) for one in rule.hashes],
        **values,
    )


def _says(rule: Rule, name: str) -> bool:
    """Whether a rule says itself what a policy would put into a field of its action: it comes first (kgateway)."""
    rewrite = rule.rewrite or Rewrite()
    own = {"auto_host_rewrite": rewrite.hostname, "regex_rewrite": rewrite.path}
    return rule.timeouts != Timeouts() if name == "timeout" else own.get(name) is not None


def _targets(destinations: tuple[Destination, ...], cluster_of: ClusterOf) -> dict[str, Any]:
    used = [one for one in destinations if one.weight]
    if len(used) == 1 and not _changes(used[0]):
        return {"cluster": _cluster(used[0], cluster_of)}
    clusters = [
        construct(
            WeightedClusterClusterWeight,
            name=_cluster(one, cluster_of),
            weight=one.weight,
            host_rewrite_literal=one.rewrite.hostname if one.rewrite is not None else None,
            **_headers(one.request_headers, "request"),
            **_headers(one.response_headers, "response"),
        )
        for one in used
    ]
    return {"weighted_clusters": construct(WeightedCluster, clusters=clusters)}


def _changes(one: Destination) -> bool:
    headers = one.request_headers != HeaderChange() or one.response_headers != HeaderChange()
    return headers or one.rewrite is not None


def _cluster(one: Destination, cluster_of: ClusterOf) -> str:
    return BLACKHOLE if one.problem is not None or one.backend is None else cluster_of(one.backend)


def _headers(change: HeaderChange, side: str) -> dict[str, Any]:
    action = HeaderValueOptionHeaderAppendAction
    options = [_option(name, value, action.OVERWRITE_IF_EXISTS_OR_ADD) for name, value in change.set]
    options += [_option(name, value, action.APPEND_IF_EXISTS_OR_ADD) for name, value in change.add]
    return {f"{side}_headers_to_add": options, f"{side}_headers_to_remove": list(change.remove)}


def _option(name: str, value: str, action: HeaderValueOptionHeaderAppendAction) -> HeaderValueOption:
    # As it is written: it may be one of Envoy's formats, and the model has refused what Envoy would not take.
    return construct(HeaderValueOption, header=construct(HeaderValue, key=name, value=value), append_action=action)


def _rewrite(rule: Rule) -> dict[str, Any]:
    if rule.rewrite is None:
        return {}
    values: dict[str, Any] = {}
    if rule.rewrite.hostname is not None:
        values["host_rewrite_literal"] = rule.rewrite.hostname
    if rule.rewrite.path is not None:
        full = rule.rewrite.path.full
        values |= _prefix(rule.rewrite.path) if full is None else {"regex_rewrite": _replaced("^/.*$", _rooted(full))}
    return values


def _prefix(change: PathChange) -> dict[str, Any]:
    """ReplacePrefixMatch by the specification's table (HTTPPathModifier): trailing slashes do not count."""
    matched, replacement = change.matched.rstrip("/"), (change.prefix or "").rstrip("/")
    if replacement:
        # A match of "/" takes the slash itself, so the replacement has to give it back.
        return {"prefix_rewrite": _rooted(replacement if matched else replacement + "/")}
    if not matched:
        return {}
    pattern = f"^{re.escape(matched)}/*(.*)$"
    return {"regex_rewrite": construct(RegexMatchAndSubstitute, pattern=_regex(pattern), substitution=r"/\1")}


def _rooted(path: str) -> str:
    """A path that begins with a slash: without one the request's target would be none (RFC 9112 §3.2.1)."""
    return path if path.startswith("/") else f"/{path}"


def _replaced(pattern: str, text: str) -> RegexMatchAndSubstitute:
    literal = text.replace("\\", "\\\\")
    return construct(RegexMatchAndSubstitute, pattern=_regex(pattern), substitution=literal)


def _regex(pattern: str) -> RegexMatcher:
    return construct(RegexMatcher, regex=pattern)


def _port(redirect: Redirect, place: Place) -> int:
    return redirect.port or (_WELL_KNOWN[redirect.scheme] if redirect.scheme else place.port)


def _is_well_known(redirect: Redirect, place: Place) -> bool:
    """Whether the port is the scheme's own, which is left out of Location (HTTPRequestRedirectFilter.port)."""
    scheme = redirect.scheme or ("https" if place.tls else "http")
    return _port(redirect, place) == _WELL_KNOWN.get(scheme)


def _redirect(redirect: Redirect, place: Place) -> RedirectAction:
    left_out = _is_well_known(redirect, place) and not redirect.says_port
    values: dict[str, Any] = {}
    if redirect.path is not None:
        full = redirect.path.full
        values = _prefix(redirect.path) if full is None else {"path_redirect": full}
    if redirect.scheme:
        values["scheme_redirect"] = redirect.scheme
    return construct(
        RedirectAction,
        host_redirect=redirect.hostname or place.host,
        port_redirect=0 if left_out else _port(redirect, place),
        response_code=_CODES[redirect.status],
        **values,
    )


def _timeouts(rule: Rule) -> dict[str, Any]:
    # A backend timeout bounds the one try there is, or each of several, in the retry policy; 0 is none.
    bounds = [rule.timeouts.request] + ([rule.timeouts.backend_request] if rule.retry is None else [])
    return {"timeout": _millis(min((one for one in bounds if one), default=0))}


def _millis(value: int) -> timedelta:
    return timedelta(milliseconds=value)


def _mirror(mirror: Mirror, share: tuple[int, int], cluster_of: ClusterOf) -> RouteActionRequestMirrorPolicy:
    """Envoy chooses what to mirror by the number that chose the route: of that route's share it has to be a part."""
    (numerator, denominator), (begin, end) = mirror.fraction, share
    fraction = _fraction(begin + round(numerator * (end - begin) / denominator))
    return construct(RouteActionRequestMirrorPolicy, cluster=cluster_of(mirror.backend), runtime_fraction=fraction)


def _fraction(millionths: int) -> RuntimeFractionalPercent:
    value = construct(FractionalPercent, numerator=millionths, denominator=FractionalPercentDenominatorType.MILLION)
    return construct(RuntimeFractionalPercent, default_value=value)


def _source(entry: RouteEntry, effect: Effect) -> Metadata:
    """Who wrote this route: for access logs and people. Names only: a generation would change bytes for nothing."""
    ref = entry.route
    fields = {
        "group": _text(ref.group),
        "kind": _text(ref.kind),
        "namespace": _text(ref.namespace),
        "name": _text(ref.name),
        "rule": construct(Value, number_value=float(entry.rule_index)),
    }
    own = {"penstock.dev/route": construct(Struct, fields=fields)}
    return construct(Metadata, filter_metadata={**merged_metadata(effect), **own})


def _text(value: str) -> Value:
    return construct(Value, string_value=value)
