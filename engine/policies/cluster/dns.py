"""`dns`: how Envoy resolves the names of hosts; nothing where it resolves none."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import ClusterCustomClusterType
from envoy_data_plane.envoy.extensions.clusters.dns.v3 import DnsCluster

from engine.envoy.shape import Shape
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span

_TYPE: Final = "envoy.extensions.clusters.dns.v3.DnsCluster"


def _shape(block: Json, use: Use) -> Shape:
    if not use.dns:
        return Shape()
    cluster = construct(
        DnsCluster,
        **given(
            dns_refresh_rate=span(block, "refreshRate"),
            dns_jitter=span(block, "jitter"),
            respect_dns_ttl=block.get("respectTTL"),
        ),
    )
    custom = construct(ClusterCustomClusterType, name="envoy.cluster.dns", typed_config=packed(_TYPE, cluster))
    return Shape({"cluster_type": custom})


FEATURE: Final = Feature("dns", _shape)
