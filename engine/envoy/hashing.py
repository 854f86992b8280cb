"""What of a request decides which host of a backend gets it, where the backend goes by hashes."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    RouteActionHashPolicy,
    RouteActionHashPolicyConnectionProperties,
    RouteActionHashPolicyCookie,
    RouteActionHashPolicyCookieAttribute,
    RouteActionHashPolicyHeader,
)

from engine.envoy.wire import construct
from engine.resolve.values import HashPolicy


def hash_policy(value: HashPolicy) -> RouteActionHashPolicy:
    """As a route has it."""
    if value.kind == "header":
        header = construct(RouteActionHashPolicyHeader, header_name=value.name)
        return construct(RouteActionHashPolicy, header=header, terminal=value.terminal)
    if value.kind == "source":
        client = construct(RouteActionHashPolicyConnectionProperties, source_ip=True)
        return construct(RouteActionHashPolicy, connection_properties=client, terminal=value.terminal)
    cookie = construct(
        RouteActionHashPolicyCookie,
        name=value.name,
        path=value.path,
        ttl=timedelta(milliseconds=value.ttl) if value.ttl is not None else None,
        attributes=[
            construct(RouteActionHashPolicyCookieAttribute, name=name, value=text) for name, text in value.attributes
        ],
    )
    return construct(RouteActionHashPolicy, cookie=cookie, terminal=value.terminal)
