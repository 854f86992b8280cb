"""Names of Envoy resources, kgateway's where it has them: dashboards and users rely on them."""

from __future__ import annotations

from engine.placement import placed
from engine.ref import Ref
from engine.resolve.values import BackendKey

BLACKHOLE = "blackhole-cluster"
"""A cluster that never exists: a request sent to it is answered with 500."""


def listener_name(port: int) -> str:
    """One Envoy listener a port."""
    return f"listener~{port}"


def udp_name(port: int) -> str:
    """The Envoy listener of a UDP port, which may be a TCP port too, and its cluster."""
    return f"listener~udp~{port}"


def virtual_host_name(route_config: str, hostname: str) -> str:
    """The virtual host of a hostname; "" or "*" is any host."""
    return f"{route_config}~{(hostname or '*').replace('.', '_')}"


def misdirected_name(route_config: str) -> str:
    """The virtual host that answers 421; no hostname has a tilde, and no name of a RouteConfiguration ends with one."""
    return f"{route_config}~~misdirected-request"


def cluster_name(key: BackendKey, own_cluster: str) -> str:
    """The cluster of a backend; a backend of another Kubernetes cluster carries that cluster's name."""
    ref = key.ref
    foreign = "" if ref.cluster == own_cluster else f"{ref.cluster}_"
    over = f"_{key.over}" if key.over else ""
    if ref.kind == "Service":
        return f"kube_{foreign}{ref.namespace}_{ref.name}_{key.port}{over}"
    if ref.kind == "ServiceImport":
        return f"import_{foreign}{ref.namespace}_{ref.name}_{key.port}{over}"
    return f"backend_{foreign}{ref.namespace}_{ref.name}_0{over}"


def assignment_name(cluster: str, elsewhere: str) -> str:
    """The fragment of a cluster's endpoints as proxies in another Kubernetes cluster are given them; "" for the own."""
    return placed(cluster, elsewhere)


def placed_name(elsewhere: str) -> str:
    """The fragment that says that the Gateway has proxies in another Kubernetes cluster: an assignment of none."""
    return placed("", elsewhere)


def route_name(route: Ref, rule_index: int, match_index: int, rule_name: str = "") -> str:
    """The name of one match of one rule; kgateway's, without the position that would make neighbours change."""
    named = f"-{rule_name}" if rule_name else ""
    kind = route.kind.lower()
    return f"{kind}-{route.name}-{route.namespace}-{rule_index}-{match_index}{named}-matcher-{match_index}"


def authorities_name(port: int, section: str = "") -> str:
    """The SDS name of the authorities of a port's clients, or of those of one listener there."""
    return f"clients~{port}~{section}" if section else f"clients~{port}"


def credential_name(of: Ref) -> str:
    """The SDS name of a client's secret in a Secret, or of what an extension's cookies are signed with."""
    return f"oauth2/{'client' if of.kind == 'Secret' else 'hmac'}_secret/{of.namespace}/{of.name}"


def secret_name(ref: Ref) -> str:
    """The SDS name of a certificate."""
    return f"kubernetes://{ref.namespace}/{ref.name}"
