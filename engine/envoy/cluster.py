"""Clusters and their endpoint assignments."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCommonLbConfig,
    ClusterCommonLbConfigLocalityWeightedLbConfig,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
)
from envoy_data_plane.envoy.config.core.v3 import Locality, Metadata
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.endpoint.v3 import Endpoint as EndpointMessage

from engine.envoy.address import address
from engine.envoy.format_string import struct
from engine.envoy.named_host import LOOKUP, dns_cluster, looked_up
from engine.envoy.natures import natural
from engine.envoy.remote_gateway import CLUSTER
from engine.envoy.shape import Shape, http_options
from engine.envoy.typed import ads
from engine.envoy.upstream_tls import upstream_tls
from engine.envoy.wire import construct
from engine.resolve.endpoint import Endpoint
from engine.resolve.values import Backend
from engine.seal import Sealer

_CONNECT_TIMEOUT = timedelta(seconds=5)
RETRIES = 1024
"""Requests of one cluster that may wait for a retry, or be in one, at once: by default Envoy lets 3, and answers the
others with what the first try was answered. As many as it lets requests."""


def cluster(
    backend: Backend, name: str, shape: Shape | None = None, sealer: Sealer | None = None, lookup: str = LOOKUP
) -> Cluster:
    """EDS over ADS, or, for a backend with host names, STRICT_DNS with its addresses inside; as its type shapes it.

    What policies make of it (`shape`) comes over that. `sealer` opens what is sealed in it. `lookup` says which
    addresses of host names count (DnsLookupFamily).
    """
    shape = (shape or Shape()).over(natural(backend, name, sealer))
    values: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "circuit_breakers": construct(
            CircuitBreakers, thresholds=[construct(CircuitBreakersThresholds, max_retries=RETRIES)]
        ),
        "ignore_health_on_host_removal": True,
        "common_lb_config": construct(
            ClusterCommonLbConfig,
            locality_weighted_lb_config=construct(ClusterCommonLbConfigLocalityWeightedLbConfig),
        ),
        "typed_extension_protocol_options": http_options(backend.protocol, shape),
        "transport_socket": upstream_tls(backend.tls) if backend.tls is not None else None,
        "metadata": construct(Metadata, **shape.metadata) if shape.metadata else None,
        **_discovery(backend, name, shape, lookup),
        **shape.fields,
    }
    if shape.around is not None:
        values["transport_socket"] = shape.around(values["transport_socket"])
    return construct(Cluster, name=name, **values)


def _discovery(backend: Backend, name: str, shape: Shape, lookup: str) -> dict[str, Any]:
    """How its hosts are found, where its type does not say so."""
    if not backend.dns:
        source = construct(ClusterEdsClusterConfig, eds_config=ads())
        return {"type": ClusterDiscoveryType.EDS, "eds_cluster_config": source}
    if "cluster_type" in shape.fields:
        # The clusters within it have what it has.
        return looked_up(lookup)
    how: dict[str, Any] = {"type": ClusterDiscoveryType.STRICT_DNS, **looked_up(lookup)}
    if shape.dns:
        how = {"cluster_type": dns_cluster(shape.dns, lookup)}
    return {**how, "load_assignment": assignment(backend, name)}


def nobody(name: str) -> Cluster:
    """A cluster in which nothing can be reached: what is sent to it is answered with 503.

    Without any cluster of the name a proxy would keep the one that it has, as long as its routes name it.
    """
    return construct(
        Cluster,
        name=name,
        connect_timeout=_CONNECT_TIMEOUT,
        type=ClusterDiscoveryType.STATIC,
        load_assignment=construct(ClusterLoadAssignment, cluster_name=name),
    )


def assignment(backend: Backend, name: str) -> ClusterLoadAssignment:
    """The endpoints by priority and place, sorted; a place weighs as many as it has, so that each weighs the same."""
    places: dict[tuple[int, tuple[str, str, str]], list[Endpoint]] = {}
    for one in sorted(backend.endpoints, key=lambda one: (one.priority, one.place, _numeric(one.address), one.port)):
        places.setdefault((one.priority, one.place), []).append(one)
    return construct(
        ClusterLoadAssignment, cluster_name=name, endpoints=[_place(*place, some) for place, some in places.items()]
    )


def _place(priority: int, place: tuple[str, str, str], members: list[Endpoint]) -> LocalityLbEndpoints:
    region, zone, sub_zone = place
    return construct(
        LocalityLbEndpoints,
        priority=priority,
        locality=construct(Locality, region=region, zone=zone, sub_zone=sub_zone) if any(place) else None,
        lb_endpoints=[lb_endpoint(one) for one in members],
        load_balancing_weight=sum(one.weight for one in members),
    )


def lb_endpoint(one: Endpoint) -> LbEndpoint:
    """One address; the way to a remote gateway is chosen by its metadata."""
    message = construct(EndpointMessage, address=address(one.address, one.port), hostname=one.hostname or "")
    more: dict[str, Any] = {}
    if one.remote:
        told = {"envoy.transport_socket_match": struct({CLUSTER: one.remote})}
        more = {"load_balancing_weight": one.weight, "metadata": construct(Metadata, filter_metadata=told)}
    return construct(LbEndpoint, endpoint=message, **more)


def _numeric(text: str) -> tuple[int, int, str]:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return 0, 0, text
    return parsed.version, int(parsed), text
