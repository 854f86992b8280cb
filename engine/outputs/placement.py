"""What says that a Gateway has proxies in other clusters: without it, those that are left there are told nothing."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment

from engine.envoy.names import placed_name
from engine.graph.reader import Outputs, Reader
from engine.outputs.emission import Target, emission
from engine.ref import Ref
from engine.resolve.gateway import gateway_spec
from engine.resolve.placement import elsewhere
from engine.update import FragmentKey, FragmentKind


def placement_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """An assignment for each, which nobody asks for."""
    if graph.get(gateway_spec, gateway) is None:
        return Outputs()
    items: list[tuple[str, str, Any]] = []
    for one in graph.get(elsewhere, gateway):
        name = placed_name(one)
        # Of no revision of the Gateway: it is the same through all of them.
        to = Target(FragmentKey(gateway, FragmentKind.ENDPOINTS, name), gateway, ((gateway, 0),))
        items += emission(to, ClusterLoadAssignment(cluster_name=name)).items
    return Outputs(tuple(items))
