"""DynamicForwardProxy: a cluster within it for each host that is asked for."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.cluster.v3 import ClusterCustomClusterType, ClusterLbPolicy
from envoy_data_plane.envoy.config.core.v3 import UpstreamHttpProtocolOptions
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy.v3 import ClusterConfig, SubClustersConfig
from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy.v3 import FilterConfig, SubClusterConfig

from engine.envoy.shape import Shape
from engine.envoy.type_filter import TypeFilter
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.resolve.backends.dynamic_forward_proxy import AnyHost
from engine.resolve.values import Backend
from engine.seal import Sealer

NATURE: Final = AnyHost
TYPE: Final = "dynamicForwardProxy"
FILTER: Final = TypeFilter(
    "envoy.filters.http.dynamic_forward_proxy",
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
    construct(FilterConfig, sub_cluster_config=construct(SubClusterConfig)),
)
_TYPE: Final = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"


def said(nature: AnyHost, backend: Backend, name: str, sealer: Sealer | None) -> Shape:  # noqa: ARG001
    """Over TLS the host of the request is who must answer: its name is the SNI, and has to stand in the certificate."""
    hosts = construct(
        ClusterConfig, sub_clusters_config=construct(SubClustersConfig, lb_policy=ClusterLbPolicy.LEAST_REQUEST)
    )
    fields: dict[str, Any] = {
        "cluster_type": construct(
            ClusterCustomClusterType, name="envoy.clusters.dynamic_forward_proxy", typed_config=packed(_TYPE, hosts)
        ),
        "lb_policy": ClusterLbPolicy.CLUSTER_PROVIDED,
        "common_lb_config": None,
    }
    # Without TLS these two say nothing, but Envoy wants them wherever there are options, a policy's too.
    named = construct(UpstreamHttpProtocolOptions, auto_sni=True, auto_san_validation=True)
    return Shape(fields, options={"upstream_http_protocol_options": named})
