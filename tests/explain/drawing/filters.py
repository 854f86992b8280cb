"""The filters of rules and of backends."""

from __future__ import annotations

import random
from typing import Any

from tests.explain.drawing.words import VALUES


def redirect(seed: random.Random, *, prefixes: bool) -> dict[str, Any]:
    """RequestRedirect."""
    said: dict[str, Any] = {"statusCode": seed.choice((301, 302, 303, 307, 308))}
    said |= {"scheme": seed.choice(("http", "https"))} if seed.random() < 0.3 else {}
    said |= {"hostname": "else.example.com"} if seed.random() < 0.5 else {}
    said |= {"port": seed.choice((80, 443, 9000))} if seed.random() < 0.3 else {}
    said |= {"path": _path_change(seed, prefixes=prefixes)} if seed.random() < 0.5 else {}
    return {"type": "RequestRedirect", "requestRedirect": said}


def rewrite(seed: random.Random, *, prefixes: bool) -> dict[str, Any]:
    """URLRewrite."""
    said: dict[str, Any] = {"path": _path_change(seed, prefixes=prefixes)} if seed.random() < 0.7 else {}
    said |= {"hostname": "inside.example.com"} if not said or seed.random() < 0.4 else {}
    return {"type": "URLRewrite", "urlRewrite": said}


def _path_change(seed: random.Random, *, prefixes: bool) -> dict[str, Any]:
    if prefixes and seed.random() < 0.6:
        return {"type": "ReplacePrefixMatch", "replacePrefixMatch": seed.choice(("/", "/new", "/new/", "/n/e"))}
    return {"type": "ReplaceFullPath", "replaceFullPath": seed.choice(("/full", "/", "/full/path/"))}


def headers(seed: random.Random) -> dict[str, Any]:
    """RequestHeaderModifier."""
    change = {"set": [{"name": "x-set", "value": seed.choice(VALUES)}], "remove": ["x-one"]}
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": change}


def cors(seed: random.Random) -> dict[str, Any]:
    """CORS."""
    return {"type": "CORS", "cors": origins(seed)}


def origins(seed: random.Random) -> dict[str, Any]:
    """Whom CORS lets in."""
    some = seed.choice((["*"], ["https://a.example.com"], ["https://*.example.com"], ["https://other.org", "http://a.example.com"]))
    found: dict[str, Any] = {"allowOrigins": some, "allowMethods": seed.choice((["GET"], ["*"], ["GET", "PUT"]))}
    found |= {"allowHeaders": seed.choice((["*"], ["x-one"]))} if seed.random() < 0.4 else {}
    return found | ({"allowCredentials": True} if seed.random() < 0.3 else {})
