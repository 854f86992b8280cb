"""UDPRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

from engine.models.base import Model, Object
from engine.models.kind import Kind
from engine.models.route import ParentRefs, StreamRules, UseDefaultGateways


class UDPRouteSpec(Model):
    """UDPRouteSpec."""

    parent_refs: ParentRefs = ()
    rules: StreamRules
    use_default_gateways: UseDefaultGateways = None


class UDPRoute(Object):
    """A UDPRoute."""

    spec: UDPRouteSpec


KINDS = (Kind("gateway.networking.k8s.io", "UDPRoute", "udproutes", ("v1", "v1alpha2"), UDPRoute),)
