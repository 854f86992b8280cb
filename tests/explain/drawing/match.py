"""What a rule takes: path, method, headers and query, and the hint of it."""

from __future__ import annotations

import random
from typing import Any

from tests.explain.drawing.words import METHODS, NAMES, PATHS, REGEXES, TREATED, VALUE_REGEXES, VALUES, Hint


def match(seed: random.Random, kind: str = "", below: str = "") -> dict[str, Any]:
    """Of an HTTPRoute."""
    kind = kind or seed.choice(("Exact", "PathPrefix", "PathPrefix", "PathPrefix", "RegularExpression"))
    path = seed.choice(tuple(REGEXES) if kind == "RegularExpression" else PATHS)
    if below and kind != "RegularExpression":
        path = below.rstrip("/") + path
    found: dict[str, Any] = {"path": {"type": kind, "value": path}}
    if seed.random() < 0.3:
        found["method"] = seed.choice(METHODS)
    for field, names in (("headers", NAMES), ("queryParams", ("p", "q"))):
        if some := [_text(seed, name) for name in names if seed.random() < 0.2]:
            found[field] = some
    if seed.random() < 0.1:
        name = seed.choice(tuple(TREATED))
        found.setdefault("headers", []).append({"name": name, "type": "Exact", "value": seed.choice(TREATED[name])})
    return found


def called(seed: random.Random) -> dict[str, Any]:
    """Of a GRPCRoute."""
    kind = seed.choice(("Exact", "Exact", "RegularExpression"))
    found: dict[str, Any] = {"method": {"type": kind, "service": "shop.Pay"}}
    found["method"] |= {"method": seed.choice(("Get", "Put"))} if seed.random() < 0.7 else {}
    return found | ({"headers": [_text(seed, "x-one")]} if seed.random() < 0.3 else {})


def hint(found: dict[str, Any], hosts: tuple[str, ...]) -> Hint:
    """What a match of an HTTPRoute takes."""
    return Hint(hosts, found["path"]["value"], found.get("method"), _pairs(found, "headers"), _pairs(found, "queryParams"))


def hint_of_call(found: dict[str, Any], hosts: tuple[str, ...]) -> Hint:
    """What a match of a GRPCRoute takes."""
    path = f"/{found['method']['service']}/{found['method'].get('method', 'Get')}"
    return Hint(hosts, path, "POST", (*_pairs(found, "headers"), ("content-type", "application/grpc")), ())


def _pairs(found: dict[str, Any], field: str) -> tuple[tuple[str, str], ...]:
    return tuple((one["name"], one["value"]) for one in found.get(field, ()))


def _text(seed: random.Random, name: str) -> dict[str, str]:
    if seed.random() < 0.4:
        return {"name": name, "type": "RegularExpression", "value": seed.choice(tuple(VALUE_REGEXES))}
    return {"name": name, "type": "Exact", "value": seed.choice(VALUES)}
