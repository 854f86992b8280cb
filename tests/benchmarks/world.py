"""The same world at any size: a Gateway, and routes with a Service and a slice each."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events import Put
from tests.support.manifests import endpoints, gateway, route, service


def hostname(number: int) -> str:
    """The hostname of a route."""
    return f"h{number}.example.com"


def world(routes: int) -> list[Put]:
    """A Gateway and 3 objects a route, each route with a hostname of its own."""
    puts: list[Put] = [gateway()]
    for number in range(routes):
        puts += [service(f"s{number}"), endpoints(f"s{number}"), edited(number, 1)]
    return puts


def edited(number: int, generation: int) -> Put:
    """A route as of a generation: its path differs."""
    return route(f"r{number}", f"s{number}", f"/v{generation}", generation, hostnames=[hostname(number)])


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` in 0..1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
