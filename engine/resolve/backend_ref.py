"""What a route's backendRef reaches, by kind, grant and port."""

from __future__ import annotations

from dataclasses import replace

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.backend import is_supported, port_protocol, takes_streams
from engine.resolve.grant import reference_problem
from engine.resolve.manifest import GATEWAY_API
from engine.resolve.route_kinds import ROUTE_KINDS
from engine.resolve.values import BackendKey, Over, Problem, Protocol


def referenced(graph: Reader, route: Ref, item: Json, over: Over = Over.ANY) -> tuple[BackendKey, Protocol] | Problem:
    """The backend of a reference and how it is spoken to, or what stands against the reference."""
    group, kind = str(item.get("group") or ""), str(item.get("kind") or "Service")
    name, namespace = str(item.get("name", "")), str(item.get("namespace") or route.namespace)
    if not is_supported(group, kind):
        remedy = "use a Service or a Backend"
        if group == GATEWAY_API:
            # kgateway's delegation.
            remedy = "only rules of an HTTPRoute delegate, and only to HTTPRoutes"
        return Problem("InvalidKind", f"backendRefs cannot name {kind} of {group or 'v1'}: {remedy}")
    target = Ref(route.cluster, group, kind, namespace, name)
    problem = reference_problem(graph, route.kind, route, target)
    if problem is not None:
        return problem
    backend = BackendKey(target, 0 if kind == "Backend" else int(item.get("port") or 0), over)
    protocol = graph.get(port_protocol, backend)
    sends = ROUTE_KINDS.get(route.kind)
    if (sends is None or sends.requests is None) and not graph.get(takes_streams, backend):
        # The proxy's own calls of a policy's service pass none of the filters that such a Backend wants.
        text = f"Backend {namespace}/{name} takes requests only, of HTTPRoutes and GRPCRoutes: use a static Backend"
        return Problem("UnsupportedProtocol", text)
    return protocol if isinstance(protocol, Problem) else (backend, protocol)


def called(graph: Reader, source: Ref, item: Json) -> BackendKey | Problem:
    """The backend of a reference that is called by gRPC: over HTTP/2, whether or not it says so itself."""
    found = referenced(graph, source, item)
    if isinstance(found, Problem):
        return found
    return replace(found[0], over=Over.HTTP2) if found[1] is not Protocol.H2C else found[0]
