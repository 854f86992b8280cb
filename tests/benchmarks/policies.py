"""The engine alone, in CPU time: a change below ten TrafficPolicies at the Gateway, its listener and a route, and without."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from streams import collector
from tests.benchmarks.world import edited, world
from tests.support.manifests import API, change_set, endpoints, put

_ROUTES = 1_000
_EDITS = 400
"""Of each kind, one engine beside the other, so that both have the same machine."""


def ten() -> list[Put]:
    """Four at the Gateway, one of them with what each route is given; three at its listener, three at a route."""
    places = [("Gateway", "gw", "")] * 4 + [("Gateway", "gw", "http")] * 3 + [("HTTPRoute", "r5", "")] * 3
    return [_policy(number, *place) for number, place in enumerate(places)]


def _policy(number: int, kind: str, name: str, section: str) -> Put:
    target = {"group": API, "kind": kind, "name": name, **({"sectionName": section} if section else {})}
    spec: dict[str, Any] = {
        "targetRefs": [target],
        "headerModifiers": {"request": {"set": [{"name": "x-at", "value": str(number)}]}},
    }
    if number == 3:
        spec["timeouts"] = {"request": "9s"}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", f"p{number}", {"spec": spec})


def _engine(policies: list[Put]) -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    with collector.paused():
        assert engine.apply(change_set(*world(_ROUTES), *policies), 0).warnings == ()
    return engine


def _changes(number: int) -> dict[str, Put]:
    at = 10 + number * 7919 % (_ROUTES - 10)
    return {
        "route": edited(at, number + 2),
        "own": edited(5, number + 2),
        "endpoint": endpoints(f"s{at}", f"127.0.1.{number % 250 + 1}", generation=number + 2),
    }


def run() -> dict[str, float]:
    """Keys and values for bench.json; `own` is the route at which three of the policies stand."""
    engines = {"bare": _engine([]), "ten": _engine(ten())}
    spent: dict[tuple[str, str], list[float]] = {}
    for number in range(_EDITS):
        for kind, one in _changes(number).items():
            # In turns: the first to meet an address or a path pays for what all engines of a process remember of it.
            for name in sorted(engines, reverse=number % 2 == 0):
                engine = engines[name]
                offset = engine.offset + 1
                whole = change_set(one, number=offset)
                began = time.process_time()
                engine.apply(whole, offset)
                spent.setdefault((kind, name), []).append(1e3 * (time.process_time() - began))
    middle = {key: median(values) for key, values in spent.items()}
    found = {f"policies_cpu_ms_per_change.{kind}_{name}": value for (kind, name), value in middle.items()}
    ratios = {kind: middle[kind, "ten"] / middle[kind, "bare"] for kind in ("route", "own", "endpoint")}
    return found | {f"policies_cpu_ms_per_change.ratio_{kind}": value for kind, value in ratios.items()}
