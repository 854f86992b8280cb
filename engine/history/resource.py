"""A fragment as Envoy's own JSON."""

from __future__ import annotations

from typing import Any, Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration, VirtualHost

from engine.update import Fragment, FragmentKind

MESSAGES: Final[dict[FragmentKind, type[Message]]] = {
    FragmentKind.CLUSTER: Cluster,
    FragmentKind.ENDPOINTS: ClusterLoadAssignment,
    FragmentKind.LISTENER: Listener,
    FragmentKind.FILTER_CHAIN: FilterChain,
    FragmentKind.ROUTE_CONFIG: RouteConfiguration,
    FragmentKind.VIRTUAL_HOST: VirtualHost,
    FragmentKind.ROUTE: Route,
}
"""Of each kind whose content may be seen."""


def resource(fragment: Fragment) -> dict[str, Any]:
    """Envoy's JSON of it. Of what is sealed only which content it is: keys and tokens are nobody's to read."""
    message = MESSAGES.get(fragment.key.kind)
    if fragment.sealed or message is None:
        return {"sealed": fragment.version}
    found: dict[str, Any] = message.parse(fragment.payload).to_dict()
    return found
