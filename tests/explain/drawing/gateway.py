"""A Gateway's listeners, and what a ListenerPolicy says of requests before any route."""

from __future__ import annotations

import random
from typing import Any

from tests.explain.drawing.words import API, NAMES, OTHER, OURS, PATTERNS, STREAM, THROUGH, VALUES, written
from tests.routing.written import HTTP, HTTPS


def gateway(seed: random.Random) -> dict[str, Any]:
    """With listeners of every protocol."""
    spec: dict[str, Any] = {"gatewayClassName": "penstock", "listeners": _listeners(seed)}
    if seed.random() < 0.2:
        mode = seed.choice(("AllowValidOnly", "AllowInsecureFallback"))
        ours = {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}], "mode": mode}
        spec["tls"] = {"frontend": {"default": {"validation": ours}}}
    return written(API, "v1", "Gateway", "gw", spec)


def _listeners(seed: random.Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "stream", "port": STREAM, "protocol": "TCP"},
        {"name": "through", "port": THROUGH, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
    ]
    for port, protocol in ((HTTP, "HTTP"), (OTHER, "HTTP"), (HTTPS, "HTTPS")):
        some = sorted(seed.sample(PATTERNS, seed.choice((0, 1, 2))))
        for number, host in enumerate(["", *some] if not some or seed.random() < 0.7 else some):
            one: dict[str, Any] = {"name": f"l{port}-{number}", "port": port, "protocol": protocol}
            one |= {"hostname": host} if host else {}
            found.append(one | ({"tls": {"certificateRefs": [{"name": "cert"}]}} if protocol == "HTTPS" else {}))
    return found


def listener_policy(seed: random.Random, *, proxied: bool) -> list[dict[str, Any]]:
    """Of little at times, but where a proxy is to be believed."""
    spec: dict[str, Any] = {"targetRefs": [{"group": API, "kind": "Gateway", "name": "gw"}]}
    is_plain = not proxied and seed.random() < 0.35
    spec["default"] = {"httpSettings": {"streamIdleTimeout": "20s"} if is_plain else _settings(seed)}
    if proxied:
        mine = _settings(seed) if seed.random() < 0.5 else {}
        spec["perPort"] = [{"port": OTHER, "listener": {"proxyProtocol": {}} | ({"httpSettings": mine} if mine else {})}]
    return [written(OURS, "v1alpha1", "ListenerPolicy", "lp", spec)]


def _settings(seed: random.Random) -> dict[str, Any]:
    # An upgrade that is held at a health check or in a buffer is answered when this time is over.
    settings: dict[str, Any] = {"streamIdleTimeout": "20s"}
    if seed.random() < 0.4:
        settings["earlyRequestHeaderModifier"] = _early(seed)
    if seed.random() < 0.3:
        settings["healthCheck"] = {"path": "/a"}
    if seed.random() < 0.4:
        settings["stripHostPortMode"] = seed.choice(("AnyPort", "MatchingPort"))
    if seed.random() < 0.3:
        settings["upgradeConfig"] = {"enabledUpgrades": seed.choice((["websocket"], ["other"], ["Other", "websocket"]))}
    if seed.random() < 0.2:
        settings["preserveExternalRequestId"] = seed.random() < 0.7
    if seed.random() < 0.1:
        settings["generateRequestId"] = False
    if seed.random() < 0.15:
        settings["localReplies"] = {"mappers": [{"filter": {"statusCodeFilter": {"op": "EQ", "value": 404}}, "statusCode": 410}]}
    return settings | _believed(seed)


def _believed(seed: random.Random) -> dict[str, Any]:
    """Whom it believes about where a request comes from."""
    match seed.randrange(6):
        case 0:
            return {"xffTrustedCIDRs": [seed.choice(("127.0.0.0/8", "10.0.0.0/8"))], "useRemoteAddress": False} | ({"skipXFFAppend": seed.random() < 0.5} if seed.random() < 0.5 else {})
        case 1 | 2:
            return {"xffNumTrustedHops": seed.choice((0, 1, 2)), "useRemoteAddress": seed.random() < 0.7}
        case 3:
            return {"useRemoteAddress": seed.random() < 0.5, "skipXFFAppend": seed.random() < 0.7}
    return {}


def _early(seed: random.Random) -> dict[str, Any]:
    """What becomes of headers before a route is looked for."""
    found: dict[str, Any] = {"set": [{"name": "x-early", "value": seed.choice(VALUES)}]}
    if seed.random() < 0.4:
        found["add"] = [{"name": seed.choice(NAMES), "value": seed.choice(VALUES)}]
    return found | ({"remove": ["x-two"]} if seed.random() < 0.3 else {})
