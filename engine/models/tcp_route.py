"""TCPRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

from engine.models.base import Model, Object
from engine.models.kind import Kind
from engine.models.route import ParentRefs, StreamRules, UseDefaultGateways


class TCPRouteSpec(Model):
    """TCPRouteSpec."""

    parent_refs: ParentRefs = ()
    rules: StreamRules
    use_default_gateways: UseDefaultGateways = None


class TCPRoute(Object):
    """A TCPRoute."""

    spec: TCPRouteSpec


KINDS = (Kind("gateway.networking.k8s.io", "TCPRoute", "tcproutes", ("v1", "v1alpha2"), TCPRoute),)
