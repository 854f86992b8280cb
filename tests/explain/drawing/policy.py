"""TrafficPolicies on Gateways, listeners, routes and rules."""

from __future__ import annotations

import base64
import hashlib
import random
from typing import Any

from tests.explain.drawing.filters import origins
from tests.explain.drawing.words import API, OURS, TEAM, written

_ANSWERING = ("faultInjection", "basicAuth", "rbac", "urlRewrite", "apiKeyAuth", "autoHostRewrite")
"""On a Gateway, what answers everything would leave nothing to tell apart."""


def policy(seed: random.Random, name: str, routes: list[tuple[str, str]], listeners: list[str]) -> dict[str, Any]:
    """On one of the routes (namespace and name), on a rule of it, or on the Gateway or a listener."""
    namespace, route = seed.choice(routes)
    target: dict[str, Any] = {"group": API, "kind": "HTTPRoute", "name": route}
    target |= {"sectionName": "rule0"} if seed.random() < 0.4 and namespace != TEAM else {}
    if seed.random() < 0.2:
        namespace, target = "default", {"group": API, "kind": "Gateway", "name": "gw"}
        target |= {"sectionName": seed.choice(listeners)} if seed.random() < 0.4 else {}
    spec = {"targetRefs": [target], **_blocks(seed, () if target["kind"] == "HTTPRoute" else _ANSWERING)}
    return written(OURS, "v1alpha1", "TrafficPolicy", name, spec, namespace=namespace)


def referenced(seed: random.Random, name: str) -> dict[str, Any]:
    """One that rules name themselves."""
    return written(OURS, "v1alpha1", "TrafficPolicy", name, _blocks(seed, ()))


def _blocks(seed: random.Random, without: tuple[str, ...]) -> dict[str, Any]:
    fields = seed.sample(tuple(_FIELDS), seed.choice((1, 1, 2)))
    return {one: _FIELDS[one](seed) for one in fields if one not in without} or {"cors": origins(seed)}


def _basic(seed: random.Random) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha1(b"secret", usedforsecurity=False).digest()).decode()
    return {"users": [f"ann:{{SHA}}{digest}"]} if seed.random() < 0.9 else {"disable": {}}


def _api_key(seed: random.Random) -> dict[str, Any]:
    sources = seed.choice(([], [{"header": "x-key"}], [{"query": "key"}], [{"cookie": "key"}], [{"header": "x-key", "query": "key", "cookie": "key"}]))
    return {"secretRef": {"name": "keys"}} | ({"keySources": sources} if sources else {})


def _acl(seed: random.Random) -> dict[str, Any]:
    action = seed.choice(("allow", "deny"))
    other = "deny" if action == "allow" else "allow"
    rules = [{"name": "some", "action": other, "cidrs": seed.choice((["127.0.0.0/8"], ["10.1.0.0/16"], ["10.1.2.3/32", "192.0.2.0/24"]))}]
    rules += [{"name": "less", "action": action, "cidrs": ["10.1.2.0/24"]}] if seed.random() < 0.3 else []
    return {"defaultAction": action, "rules": rules} | (
        {"denyResponse": {"statusCode": seed.choice((404, 429))}} if seed.random() < 0.5 else {}
    )


def _fault(seed: random.Random) -> dict[str, Any]:
    status = seed.choice(({"httpStatus": 429}, {"httpStatus": 503}, {"grpcStatus": 7}))
    return {"abort": status | ({"percentage": seed.choice((0, 30))} if seed.random() < 0.4 else {})}


def _limit(seed: random.Random) -> dict[str, Any]:
    return {"local": {"tokenBucket": {"maxTokens": seed.choice((1, 1000)), "fillInterval": "60s"}}}


_FIELDS = {
    "csrf": lambda seed: {"percentageEnabled": seed.choice((100, 100, 50)), "additionalOrigins": [{"suffix": ".example.net"}]},
    "cors": lambda seed: origins(seed) if seed.random() < 0.8 else {"disable": {}},
    "faultInjection": _fault,
    "urlRewrite": lambda seed: {"pathRegex": {"pattern": seed.choice(("/(a|b)/", "^/a(.*)$", "b*")), "substitution": r"/z\0"}},
    "basicAuth": _basic,
    "apiKeyAuth": _api_key,
    "acl": _acl,
    "rbac": lambda seed: {"action": seed.choice(("Allow", "Deny")), "policy": {"matchExpressions": ["request.headers['x-one'] == '1'"]}},
    "rateLimit": _limit,
    "buffer": lambda seed: {"maxRequestSize": "1Ki"},
    "autoHostRewrite": lambda seed: seed.random() < 0.8,
    "headerModifiers": lambda seed: {"request": {"set": [{"name": "x-policy", "value": "1"}]}},
}
