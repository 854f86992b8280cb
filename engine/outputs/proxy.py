"""The proxies that a Gateway wants: what deployers are told, and no word of how they do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import INFRA
from engine.placement import Placement
from engine.ref import Ref
from engine.resolve.gateway import gateway_spec
from engine.resolve.listener import PROTOCOLS, listeners
from engine.resolve.manifest import items, mapping
from engine.resolve.parameters import Parameters, parameters
from engine.resolve.placement import placements
from engine.resolve.proxy import proxy_name

_NOTHING: Final = Parameters({})


def proxy_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """A row of penstock.infra for each cluster in which it has proxies; none where somebody else runs them.

    `held` says why nothing about its proxies may be changed, "" for nothing: what runs goes on, nothing is begun.
    """
    found = graph.get(listeners, gateway)
    spec = graph.get(gateway_spec, gateway)
    if found is None or spec is None:
        return Outputs()
    wanted, problem = graph.get(parameters, gateway)
    if wanted is not None and wanted.self_managed:
        return Outputs()
    how = wanted or _NOTHING
    infrastructure = mapping(spec.get("infrastructure"))
    # Of every listener that could be served: a Service that went while a certificate is bad would lose its address.
    ports = sorted({(one.port, one.transport) for one in found if one.protocol in PROTOCOLS and one.refused is None})
    row: dict[str, Any] = {
        "name": gateway.name,
        "namespace": gateway.namespace,
        "class": str(spec.get("gatewayClassName", "")),
        "proxy": proxy_name(gateway.name),
        "ports": [{"port": port, "protocol": transport} for port, transport in ports],
        "labels": dict(mapping(infrastructure.get("labels"))),
        "annotations": dict(mapping(infrastructure.get("annotations"))),
        "addresses": [
            str(one["value"])
            for one in items(spec.get("addresses"))
            if one.get("value") and one.get("type", "IPAddress") == "IPAddress"
        ],
        "parameters": dict(how.kube),
        "overlays": [dict(one) for one in how.overlays],
        "held": problem.message if problem is not None and wanted is None else "",
    }
    places = graph.get(placements, gateway)
    return Outputs(tuple((INFRA, str(one), _row(one, row, alone=len(places) == 1)) for one in places))


def _row(place: Placement, row: Mapping[str, Any], *, alone: bool) -> dict[str, Any]:
    """Asked for in several clusters an address would be several Services' at a time."""
    addresses = row["addresses"] if alone or not place.elsewhere else []
    return {"gateway": str(place), **row, "addresses": addresses}
