"""Random tables of routes, delegation and policies, and requests near what they match; seeded, of small alphabets."""

from __future__ import annotations

import random
from typing import Any

from tests.explain.drawing.backend import behind, places
from tests.explain.drawing.gateway import gateway, listener_policy
from tests.explain.drawing.policy import policy, referenced
from tests.explain.drawing.request import request
from tests.explain.drawing.route import calls, rest, route, streams
from tests.explain.drawing.words import Hint, Table
from tests.routing.written import certificate

__all__ = ["Table", "places", "request", "table"]


def table(seed: random.Random, prefix: str) -> Table:
    """A Gateway with routes, policies and backends; the backends stand at `prefix` and their number."""
    front = gateway(seed)
    listeners = [one["name"] for one in front["spec"]["listeners"] if one["name"].startswith("l")]
    proxied = seed.random() < 0.2
    documents: list[dict[str, Any]] = [front, certificate(), *behind(prefix)]
    hints: list[Hint] = []
    routes = []
    for number in range(seed.choice((3, 6, 12, 20))):
        routes += route(seed, f"r{number:02d}", listeners, hints)
    routes += [rest(seed)] if seed.random() < 0.7 else []
    named = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in routes]
    documents += [*routes, *streams(seed)]
    if seed.random() < 0.5:
        documents.append(calls(seed, "calls", hints))
    documents += [policy(seed, f"p{number}", named, listeners) for number in range(seed.choice((0, 1, 2, 4)))]
    documents += [referenced(seed, "own"), *listener_policy(seed, proxied=proxied)]
    return Table(documents, hints, "tls" in front["spec"], proxied)
