"""Route configurations and virtual hosts without what stands in them: the publisher splices routes in."""

from __future__ import annotations

from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
    VirtualHostTlsRequirementType,
)

from engine.envoy.wire import construct
from engine.resolve.values import VirtualHost as HostValue


def route_config(name: str) -> RouteConfiguration:
    """An empty route configuration: it answers 404 to everything."""
    return construct(RouteConfiguration, name=name, ignore_port_in_host_matching=True)


def virtual_host(value: HostValue) -> VirtualHost:
    """A virtual host without its routes; one with a `status` has its only answer inside."""
    routes = []
    if value.status:
        answer = construct(DirectResponseAction, status=value.status)
        routes = [construct(Route, match=construct(RouteMatch, prefix="/"), direct_response=answer)]
    tls = VirtualHostTlsRequirementType.ALL if value.require_tls else VirtualHostTlsRequirementType.NONE
    return construct(VirtualHost, name=value.name, domains=list(value.domains), routes=routes, require_tls=tls)
