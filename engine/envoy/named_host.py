"""Discovery of one named host whose addresses come and go: Envoy takes what DNS gives, and keeps its connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from envoy_data_plane.envoy.config.cluster.v3 import ClusterCustomClusterType, ClusterDnsLookupFamily
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.clusters.common.dns.v3 import DnsLookupFamily
from envoy_data_plane.envoy.extensions.clusters.dns.v3 import DnsCluster

from engine.envoy.address import address
from engine.envoy.shape import Shape
from engine.envoy.typed import packed
from engine.envoy.wire import construct

_TYPE: Final = "envoy.extensions.clusters.dns.v3.DnsCluster"
LOOKUP: Final = "V4_PREFERRED"
"""Of a host with addresses of both kinds: Envoy by itself takes IPv6 only, where a network may have none of it."""


def looked_up(lookup: str = LOOKUP) -> dict[str, Any]:
    """Which addresses of a host count, as a Cluster says it: AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED or ALL."""
    return {"dns_lookup_family": ClusterDnsLookupFamily[lookup]}


def named_host(name: str, host: str, port: int, **fields: Any) -> Shape:
    """The shape of the cluster `name`; `fields` are more of DnsCluster's."""
    endpoint = construct(Endpoint, address=address(host, port), hostname=host)
    one = construct(LocalityLbEndpoints, lb_endpoints=[construct(LbEndpoint, endpoint=endpoint)])
    assignment = construct(ClusterLoadAssignment, cluster_name=name, endpoints=[one])
    return Shape({"load_assignment": assignment, "common_lb_config": None}, dns=fields)


def dns_cluster(fields: Mapping[str, Any], lookup: str = LOOKUP) -> ClusterCustomClusterType:
    """How a cluster resolves the names of its hosts."""
    config = construct(DnsCluster, dns_lookup_family=DnsLookupFamily[lookup], **fields)
    return construct(ClusterCustomClusterType, name="envoy.cluster.dns", typed_config=packed(_TYPE, config))
