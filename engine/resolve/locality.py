"""How far the clusters of a domain are from one another, and whether their pods reach one another."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.resolve.cluster import RemoteGateway, cluster, entrance
from engine.resolve.endpoint import Endpoint

DRAINED: Final = 3
"""How far a cluster is of which something is used only where no other has anything."""


class Locality(NamedTuple):
    """Where a cluster is; "" for a region that nobody told: it is no other's."""

    cluster: str
    region: str
    network: str
    gateway: RemoteGateway | None

    def distance(self, other: Locality) -> int:
        """0 to itself, 1 to clusters of its region, 2 to all others."""
        if self.cluster == other.cluster:
            return 0
        return 1 if self.region and self.region == other.region else 2

    def reaches(self, other: Locality) -> bool:
        """Whether pods here reach pods there at their own addresses; all of no network are of one."""
        return self.cluster == other.cluster or self.network == other.network

    def seen(self, other: Locality, ends: frozenset[Endpoint]) -> frozenset[Endpoint]:
        """Endpoints of another cluster, as this one reaches them: all at one address where that is a remote gateway's.

        None where the other is of another network and has no gateway.
        """
        if self.reaches(other):
            return frozenset(map(other._placed, ends))
        if other.gateway is None or not ends:
            return frozenset()
        way = Endpoint(*other.gateway, remote=other.cluster, weight=len(ends))
        return frozenset({other._placed(way)})

    def _placed(self, end: Endpoint) -> Endpoint:
        """As Envoy's Locality has it."""
        return replace(end, region=self.region, cluster=self.cluster) if self.region else end


def locality(graph: Reader, name: str) -> Locality:
    """Where a cluster is; whatever else changes in its object stops here."""
    known = graph.get(cluster, name)
    return Locality(name, known.region, known.network, graph.get(entrance, name))
