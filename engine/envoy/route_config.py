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

from engine.envoy.effect import NOTHING, Effect, metadata
from engine.envoy.wire import construct
from engine.resolve.values import VirtualHost as HostValue


def route_config(name: str, effect: Effect = NOTHING) -> RouteConfiguration:
    """An empty route configuration: it answers 404 to everything. What policies say holds for all that comes in."""
    return construct(
        RouteConfiguration,
        name=name,
        ignore_port_in_host_matching=True,
        typed_per_filter_config=dict(effect.configs),
        metadata=metadata(effect),
    )


def virtual_host(value: HostValue, effect: Effect = NOTHING) -> VirtualHost:
    """A virtual host without its routes; one with a `status` has its only answer inside."""
    routes = []
    if value.status:
        answer = construct(DirectResponseAction, status=value.status)
        routes = [construct(Route, match=construct(RouteMatch, prefix="/"), direct_response=answer)]
    tls = VirtualHostTlsRequirementType.ALL if value.require_tls else VirtualHostTlsRequirementType.NONE
    return construct(
        VirtualHost,
        name=value.name,
        domains=list(value.domains),
        routes=routes,
        require_tls=tls,
        typed_per_filter_config=dict(effect.configs),
        metadata=metadata(effect),
    )
