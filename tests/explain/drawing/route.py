"""Routes of requests and of calls, and the routes that they delegate to."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from tests.explain.drawing.backend import BACKENDS, SOCKETS, TLS
from tests.explain.drawing.filters import cors, headers, redirect, rewrite
from tests.explain.drawing.match import called, hint, hint_of_call, match
from tests.explain.drawing.words import API, HOSTS, OURS, PATTERNS, TEAM, Hint, written

_LABEL = "delegation.kgateway.dev/label"
_INHERITS = "delegation.kgateway.dev/inherit-parent-matcher"
_PRIORITY = "kgateway.dev/inherited-policy-priority"
_CODE = "kgateway.dev/http-redirect-status-code"
_PRIORITIES = ("ShallowMergePreferChild", "ShallowMergePreferParent", "DeepMergePreferChild", "DeepMergePreferParent")
_DEEPEST = 3


class Below(NamedTuple):
    """Where a route that is delegated to stands: the hosts and the path of the rule above, and how deep."""

    hosts: tuple[str, ...]
    path: str
    depth: int


def route(seed: random.Random, name: str, listeners: list[str], hints: list[Hint]) -> list[dict[str, Any]]:
    """A route with all that it delegates to."""
    parent = {"name": "gw"} | ({"sectionName": seed.choice(listeners)} if seed.random() < 0.15 else {})
    hosts = tuple(sorted(seed.sample(PATTERNS, seed.choice((0, 1, 1, 2)))))
    spec: dict[str, Any] = {"parentRefs": [parent]} | ({"hostnames": list(hosts)} if hosts else {})
    created = f"2026-01-0{seed.randint(1, 3)}T00:00:00Z"
    more: list[dict[str, Any]] = []
    spec["rules"] = [
        {"name": f"rule{number}"} | _rule_or_delegation(seed, f"{name}-{number}", Below(hosts or HOSTS, "", 0), hints, more)
        for number in range(seed.choice((1, 2, 3)))
    ]
    said = _annotations(seed, {_PRIORITY: _PRIORITIES, _CODE: ("307",)})
    return [written(API, "v1", "HTTPRoute", name, spec, creationTimestamp=created, **said), *more]


def rest(seed: random.Random) -> dict[str, Any]:
    """A route of all that no other takes."""
    rule = {"backendRefs": _references(seed)} | ({"filters": [cors(seed)]} if seed.random() < 0.2 else {})
    return written(API, "v1", "HTTPRoute", "rest", {"parentRefs": [{"name": "gw"}], "rules": [rule]})


def calls(seed: random.Random, name: str, hints: list[Hint]) -> dict[str, Any]:
    """A GRPCRoute; its hosts are no other route's."""
    hosts = (f"{name}.grpc.test",)
    rules = []
    for _ in range(2):
        matches = [called(seed)]
        hints += [hint_of_call(one, hosts) for one in matches]
        filters = [headers(seed)] if seed.random() < 0.3 else []
        rules.append({"matches": matches, "backendRefs": _references(seed, changes=False)} | ({"filters": filters} if filters else {}))
    return written(API, "v1", "GRPCRoute", name, {"parentRefs": [{"name": "gw"}], "hostnames": list(hosts), "rules": rules})


def stream(kind: str, seed: random.Random, section: str, port: int, hosts: tuple[str, ...] = ()) -> dict[str, Any]:
    """A route of connections at a listener, to the backends' port."""
    references = [{"name": one, "port": port} for one in seed.sample((*BACKENDS, "empty"), seed.choice((1, 1, 2)))]
    for one in references:
        one["weight"] = seed.choice((1, 3))
    spec: dict[str, Any] = {"parentRefs": [{"name": "gw", "sectionName": section}], "rules": [{"backendRefs": references}]}
    version = "v1" if kind == "TLSRoute" else "v1alpha2"
    name = f"{section}-{hosts[0].replace('*', 'any') if hosts else 'all'}"
    return written(API, version, kind, name, spec | ({"hostnames": list(hosts)} if hosts else {}))


def streams(seed: random.Random) -> list[dict[str, Any]]:
    """Routes of connections, perhaps."""
    found = [stream("TCPRoute", seed, "stream", 80)] if seed.random() < 0.7 else []
    names = seed.sample(PATTERNS, seed.choice((0, 1, 2)))
    return found + [stream("TLSRoute", seed, "through", TLS, (one,)) for one in names]


def _annotations(seed: random.Random, some: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    found = {name: seed.choice(values) for name, values in some.items() if seed.random() < 0.15}
    return {"annotations": found} if found else {}


# -- rules ------------------------------------------------------------------------------------------------------------


def _rule_or_delegation(
    seed: random.Random, child: str, at: Below, hints: list[Hint], more: list[dict[str, Any]]
) -> dict[str, Any]:
    if seed.random() < (0.2 if at.depth < _DEEPEST else 0):
        return _delegating(seed, child, at, hints, more)
    return _rule(seed, at, hints)


def _delegating(
    seed: random.Random, child: str, at: Below, hints: list[Hint], more: list[dict[str, Any]]
) -> dict[str, Any]:
    """A rule that hands on what is below a path, and the route that takes it, perhaps to hand it on once more."""
    found = match(seed, "PathPrefix", at.path)
    path = found["path"]["value"]
    inherits = seed.random() < 0.2
    below = Below(at.hosts, "" if inherits else path, at.depth + 1)
    own: list[Hint] = []
    rules = [_rule_or_delegation(seed, f"{child}-{number}", below, own, more) for number in range(seed.choice((1, 2)))]
    hints += [one._replace(path=path.rstrip("/") + one.path) for one in own] if inherits else own
    metadata = {"labels": {_LABEL: child}, **_annotations(seed, {_PRIORITY: _PRIORITIES})}
    if inherits:
        metadata["annotations"] = metadata.get("annotations", {}) | {_INHERITS: "true"}
    more.append(written(API, "v1", "HTTPRoute", child, {"rules": rules}, namespace=TEAM, **metadata))
    reference = {"group": API, "kind": "HTTPRoute", "name": child, "namespace": TEAM}
    if seed.random() < 0.3:
        reference = {"group": "delegation.kgateway.dev", "kind": "label", "name": child, "namespace": TEAM}
    some = [headers(seed)] if seed.random() < 0.3 else []
    some += [cors(seed)] if seed.random() < 0.1 else []
    return {"matches": [found], "backendRefs": [reference]} | ({"filters": some} if some else {})


def _rule(seed: random.Random, at: Below, hints: list[Hint]) -> dict[str, Any]:
    matches = [match(seed, below=at.path) for _ in range(seed.choice((1, 1, 2)))]
    hints += [hint(one, at.hosts) for one in matches]
    prefixes = len(matches) == 1 and matches[0]["path"]["type"] == "PathPrefix"
    rule: dict[str, Any] = {"matches": matches}
    does = seed.random()
    if does < 0.2:
        return rule | {"filters": [redirect(seed, prefixes=prefixes), *([cors(seed)] if seed.random() < 0.2 else [])]}
    if does < 0.28 and not at.depth:
        return rule | {"filters": [_extension("DirectResponse", "teapot")]}
    some = [rewrite(seed, prefixes=prefixes)] if seed.random() < 0.3 else []
    some += [headers(seed)] if seed.random() < 0.2 else []
    some += [cors(seed)] if seed.random() < 0.2 else []
    some += [_extension("TrafficPolicy", "own")] if seed.random() < 0.05 and not at.depth else []
    return rule | {"backendRefs": _references(seed)} | ({"filters": some} if some else {})


def _extension(kind: str, name: str) -> dict[str, Any]:
    return {"type": "ExtensionRef", "extensionRef": {"group": OURS, "kind": kind, "name": name}}


def _references(seed: random.Random, *, changes: bool = True) -> list[dict[str, Any]]:
    """Backends with weights, and filters of their own where `changes`; some cannot be had."""
    known: tuple[dict[str, Any], ...] = (
        *({"name": one, "port": 80} for one in (*BACKENDS, *BACKENDS, SOCKETS, "empty", "missing")),
        {"group": OURS, "kind": "Backend", "name": "static"},
        {"name": "b1", "namespace": TEAM, "port": 80},  # Without a ReferenceGrant in one namespace, its own in the other.
    )
    found = [dict(one) for one in seed.sample(known, seed.choice((1, 1, 1, 2, 3)))]
    for one in found:
        one.update({"weight": seed.choice((0, 1, 3))} if len(found) > 1 else {})
        chance = seed.random() if changes else 1
        if chance < 0.08:
            one["filters"] = [rewrite(seed, prefixes=False)]
        elif chance < 0.12:
            one["filters"] = [redirect(seed, prefixes=False)]
    return found
