"""The endpoints of a cluster, as a proxy is told them."""

from __future__ import annotations

from typing import NamedTuple

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import HealthStatus
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions

from engine.envoy.shape import OPTIONS
from engine.envoy.typed import unpacked
from engine.history.explain.config import Config
from engine.update import FragmentKind


class Endpoint(NamedTuple):
    """An address of a backend. `health` is what the config says of it; "" for nothing, which counts as healthy.

    `name` is the host that stands for it where the backend is to be asked for by its own name; "" for none.
    """

    address: str
    port: int
    priority: int = 0
    health: str = ""
    zone: str = ""
    name: str = ""


def endpoints(config: Config, cluster: str) -> tuple[Endpoint, ...] | None:
    """Those of a cluster, in the order in which they stand; None where no cluster is of that name."""
    found: Cluster | None = config.message(FragmentKind.CLUSTER, cluster)
    if found is None:
        return None
    told = config.message(FragmentKind.ENDPOINTS, cluster) or found.load_assignment
    is_named = found.type == ClusterDiscoveryType.STRICT_DNS
    return tuple(_endpoints(told, is_named=is_named)) if told is not None else ()


def is_found_otherwise(config: Config, cluster: str) -> bool:
    """Whether the proxy finds the hosts itself, by what a request says or by names."""
    found: Cluster | None = config.message(FragmentKind.CLUSTER, cluster)
    return found is not None and found.cluster_type is not None and found.load_assignment is None


def is_made_anew(config: Config, cluster: str) -> bool:
    """Whether filters of the cluster itself make another request of it, as for a function of AWS."""
    found: Cluster | None = config.message(FragmentKind.CLUSTER, cluster)
    options = found.typed_extension_protocol_options.get(OPTIONS) if found is not None else None
    inside = unpacked(options) if options is not None else None
    return isinstance(inside, HttpProtocolOptions) and bool(inside.http_filters)


def _endpoints(told: ClusterLoadAssignment, *, is_named: bool) -> list[Endpoint]:
    found = []
    for group in told.endpoints:
        zone = group.locality.zone if group.locality is not None else ""
        for one in group.lb_endpoints:
            address = one.endpoint.address if one.endpoint is not None else None
            socket = address.socket_address if address is not None else None
            if socket is not None and one.endpoint is not None:
                status = HealthStatus(one.health_status)
                health = "" if status is HealthStatus.UNKNOWN else str(status.name).lower()
                name = one.endpoint.hostname or (socket.address if is_named else "")
                place = (socket.address, socket.port_value or 0)
                found.append(Endpoint(*place, group.priority or 0, health, zone, name))
    return found
