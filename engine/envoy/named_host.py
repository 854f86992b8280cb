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
LOOKUP: Final = ClusterDnsLookupFamily.V4_PREFERRED
"""Of a host with addresses of both kinds: Envoy by itself takes IPv6 only, where a network may have none of it."""
IPV4_FIRST: Final[Mapping[str, Any]] = {"dns_lookup_family": DnsLookupFamily.V4_PREFERRED}
"""The same, for a DnsCluster."""


def named_host(name: str, host: str, port: int, **fields: Any) -> Shape:
    """The shape of the cluster `name`; `fields` are more of DnsCluster's."""
    endpoint = construct(Endpoint, address=address(host, port), hostname=host)
    one = construct(LocalityLbEndpoints, lb_endpoints=[construct(LbEndpoint, endpoint=endpoint)])
    assignment = construct(ClusterLoadAssignment, cluster_name=name, endpoints=[one])
    return Shape({"load_assignment": assignment, "common_lb_config": None}, dns={**IPV4_FIRST, **fields})


def dns_cluster(fields: Mapping[str, Any]) -> ClusterCustomClusterType:
    """How a cluster resolves the names of its hosts."""
    config = construct(DnsCluster, **fields)
    return construct(ClusterCustomClusterType, name="envoy.cluster.dns", typed_config=packed(_TYPE, config))
