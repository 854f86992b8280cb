"""What differs in routing, in sentences: "host shop.example.com: /pay moved from pay-v1 to pay-v2, lost its retry".

It is read off Envoy's routes, so that it says what requests meet, whichever objects say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.history.paths import ABSENT, differences
from engine.ref import Ref
from engine.update import Fragment, FragmentKind

Read = Mapping[str, tuple[Fragment, Any]]
"""Fragments with their JSON, by key."""
Called = Mapping[Ref, str]
"""How a person is told of each Gateway."""

_KUBE: Final = re.compile(r"(?P<how>kube|import)_(?P<namespace>[^_]+)_(?P<name>[^_]+)_(?P<port>\d+)")
_PATHS: Final = {"path": "= {}", "prefix": "{}*", "pathSeparatedPrefix": "{}", "safeRegex": "~ {}"}
_FEATURES: Final = {
    "retryPolicy": "retry",
    "timeout": "timeout",
    "idleTimeout": "idle timeout",
    "hashPolicy": "hashing",
    "requestMirrorPolicies": "mirroring",
    "prefixRewrite": "path rewrite",
    "regexRewrite": "path rewrite",
    "pathRewritePolicy": "path rewrite",
    "hostRewriteLiteral": "host rewrite",
    "autoHostRewrite": "host rewrite",
    "maxStreamDuration": "timeout",
    "internalRedirectPolicy": "internal redirects",
    "requestHeadersToAdd": "request headers",
    "requestHeadersToRemove": "request headers",
    "responseHeadersToAdd": "response headers",
    "responseHeadersToRemove": "response headers",
    "rateLimits": "rate limit",
    "statPrefix": "statistics",
    "tracing": "tracing",
    "upgradeConfigs": "upgrades",
}
"""Fields of Route, RouteAction and VirtualHost in words; a filter has its own name."""
_TARGETS: Final = (
    "cluster",
    "weightedClusters",
    "clusterHeader",
    "clusterSpecifierPlugin",
    "inlineClusterSpecifierPlugin",
)
_SILENT: Final = {"name", "match", "metadata", "route", "redirect", "directResponse", "domains", "typedPerFilterConfig"}
_ROUTED_SILENT: Final = {*_TARGETS, "clusterNotFoundResponseCode"}


class Facts(NamedTuple):
    """What becomes of a request: where it goes, and each feature that it meets."""

    target: str
    features: Mapping[str, Any]


def routing(old: Read, new: Read, *, clusters: bool = False) -> tuple[str, ...]:
    """The sentences, sorted; one for each match of each host, and for whatever else changed as a whole.

    With `clusters` each Gateway is said with its cluster.
    """
    gateways = {fragment.key.gateway for some in (old, new) for fragment, _ in some.values()}
    called = {
        one: f"Gateway {one.namespace}/{one.name}" + (f" of cluster {one.cluster}" if clusters else "")
        for one in gateways
    }
    return tuple(sorted({*_hosts(old, new, called), *_backends(old, new, called), *_listeners(old, new, called)}))


def _hosts(old: Read, new: Read, called: Called) -> Iterator[str]:
    before, after = _placed(old, called), _placed(new, called)
    for place in sorted(before.keys() | after.keys()):
        where, what = place
        subject = f"{where}: {what}" if what else where
        if place not in before:
            yield f"{subject} is new" + (f", goes to {after[place].target}" if after[place].target else "")
        elif place not in after:
            yield f"{subject} is gone" + (f", went to {before[place].target}" if before[place].target else "")
        elif (said := ", ".join(_differs(before[place], after[place]))) != "":
            yield f"{subject} {said}"


def _placed(some: Read, called: Called) -> dict[tuple[str, str], Facts]:
    found = {}
    # Of several with one match the first in order takes the requests: it is the last word here.
    for fragment, value in sorted(some.values(), key=lambda one: (one[0].order, one[0].key.name), reverse=True):
        if fragment.key.kind is FragmentKind.ROUTE:
            found[_host(called[fragment.key.gateway], fragment.parent), match(value)] = facts(value)
        elif fragment.key.kind is FragmentKind.VIRTUAL_HOST:
            found[_host(called[fragment.key.gateway], fragment.key.name), ""] = facts(value)
    return found


def _host(gateway: str, virtual_host: str) -> str:
    """`listener~80~shop_example_com` of a Gateway as a person says it."""
    _, port, name = (*virtual_host.split("~", 2), "", "")[:3]
    shown = name.replace("_", ".") or virtual_host  # a hostname has no underscore, and a virtual host's name no dot
    return f"{gateway} port {port} host {shown}"


def match(route: Mapping[str, Any]) -> str:
    """What a route takes: the path and the method, then whatever else must hold.

    Who reads the stream says it in the same words (streams.client.values.Match).
    """
    wanted = route.get("match") or {}
    words = [_path(field, _text(wanted[field])) for field in _PATHS if field in wanted]
    asked = []
    for kind, of in (("headers", "header"), ("queryParameters", "query")):
        for one in sorted(wanted.get(kind) or (), key=lambda one: str(one.get("name"))):
            method = (one.get("stringMatch") or {}).get("exact") if one.get("name") == ":method" else None
            if method:
                words.append(str(method))
            else:
                asked.append(f"{of} {_condition(one)}")
    known = {*_PATHS, "headers", "queryParameters"}
    words += [f"{name} {_plain(value)}" for name, value in sorted(wanted.items()) if name not in known]
    what = " ".join(words) or "*"
    return f"{what} with {' and '.join(asked)}" if asked else what


def _path(field: str, text: str) -> str:
    """Of all paths "/": each has it for a prefix."""
    return "/" if (field, text) == ("prefix", "/") else _PATHS[field].format(text)


def _condition(one: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in one.items() if name != "name"}
    match rest:
        case {"stringMatch": {"exact": str(value), **more}} if len(rest) == 1 and not more:
            return f"{one.get('name')}: {value}"
        case {"stringMatch": {"safeRegex": {"regex": str(value)}, **more}} if len(rest) == 1 and not more:
            return f"{one.get('name')} ~ {value}"
    return f"{one.get('name')} {_plain(rest)}"


def _text(value: Any) -> str:
    return str(value.get("regex", value)) if isinstance(value, Mapping) else str(value)


def _plain(value: Any) -> str:
    """JSON in few letters."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_plain(one)}" for name, one in sorted(value.items()))
    return ",".join(map(_plain, value)) if isinstance(value, list) else str(value)


def facts(value: Mapping[str, Any]) -> Facts:
    """What becomes of requests that a route or virtual host takes, whoever says so."""
    filters = value.get("typedPerFilterConfig") or {}
    return Facts(_target(value, value.get("route") or {}), {**features(value), **filters})


def features(value: Mapping[str, Any]) -> dict[str, Any]:
    """What a route or virtual host does beside where requests go, by its word, without filters."""
    found: dict[str, Any] = {}
    for of, silent in ((value, _SILENT), (value.get("route") or {}, _ROUTED_SILENT)):
        for name, one in of.items():
            if name not in silent:
                found.setdefault(_FEATURES.get(name, name), {})[name] = one
    return found


def _target(value: Mapping[str, Any], routed: Mapping[str, Any]) -> str:
    if "redirect" in value:
        return f"a redirect ({_plain(value['redirect'])})"
    if "directResponse" in value:
        return f"the answer {value['directResponse'].get('status')}"
    if "cluster" in routed:
        return backend(str(routed["cluster"]))
    if "weightedClusters" in routed:
        parts = routed["weightedClusters"].get("clusters") or ()
        return " and ".join(f"{backend(str(one.get('name')))} ({one.get('weight', 0)})" for one in parts)
    return next((f"{name} {_plain(routed[name])}" for name in _TARGETS if name in routed), "")


def backend(cluster: str) -> str:
    """A cluster's name as a person writes it: `default/pay:8080` of a Service."""
    found = _KUBE.fullmatch(cluster)
    what = "import " if found and found["how"] == "import" else ""
    return f"{what}{found['namespace']}/{found['name']}:{found['port']}" if found else cluster


def _differs(before: Facts, after: Facts) -> Iterator[str]:
    if before.target != after.target:
        yield f"moved from {before.target} to {after.target}"
    for name in sorted(before.features.keys() | after.features.keys()):
        if name not in after.features:
            yield f"lost its {name}"
        elif name not in before.features:
            yield f"has a {name} now"
        elif before.features[name] != after.features[name]:
            yield f"has another {name}"


def _backends(old: Read, new: Read, called: Called) -> Iterator[str]:
    for kind, verb in ((FragmentKind.CLUSTER, _cluster), (FragmentKind.ENDPOINTS, _endpoints)):
        before, after = (_of(some, kind, called) for some in (old, new))
        for key in sorted(before.keys() | after.keys()):
            said = verb(before.get(key), after.get(key))
            gateway, name = key
            if said:
                yield f"backend {backend(name)} of {gateway}: {said}"


def _of(some: Read, kind: FragmentKind, called: Called) -> dict[tuple[str, str], Any]:
    return {(called[one.key.gateway], one.key.name): value for one, value in some.values() if one.key.kind is kind}


def _cluster(before: Any, after: Any) -> str:
    if before is None or after is None:
        return "is new" if before is None else "is gone"
    names = sorted({place.path.partition(".")[0].partition("[")[0] for place in differences(before, after)})
    return f"has another {', '.join(names)}" if names else ""


def _endpoints(before: Any, after: Any) -> str:
    """A backend that comes or goes says so itself."""
    if before is None or after is None:
        return ""
    old, new = _addresses(before), _addresses(after)
    words = [f"{address} is new" for address in sorted(new - old)] + [f"{one} is gone" for one in sorted(old - new)]
    return ", ".join(words) or "has other weights or health of its endpoints"


def _addresses(assignment: Mapping[str, Any]) -> set[str]:
    found = set()
    for group in assignment.get("endpoints") or ():
        for one in group.get("lbEndpoints") or ():
            socket = ((one.get("endpoint") or {}).get("address") or {}).get("socketAddress") or {}
            found.add(f"{socket.get('address', ABSENT)}:{socket.get('portValue', 0)}")
    return found


def _listeners(old: Read, new: Read, called: Called) -> Iterator[str]:
    kinds = {
        FragmentKind.LISTENER: "listener",
        FragmentKind.FILTER_CHAIN: "filter chain",
        FragmentKind.ROUTE_CONFIG: "route configuration",
        FragmentKind.SECRET: "secret",
    }
    for kind, word in kinds.items():
        before, after = (_of(some, kind, called) for some in (old, new))
        for key in sorted(before.keys() | after.keys()):
            gateway, name = key
            subject = f"{gateway} {word} {name}"
            if key not in before or key not in after:
                yield f"{subject} is {'gone' if key in before else 'new'}"
            elif paths := sorted({place.path for place in differences(before[key], after[key])}):
                more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
                yield f"{subject} has another {', '.join(paths[:_SHOWN])}{more}"


_SHOWN: Final = 3
