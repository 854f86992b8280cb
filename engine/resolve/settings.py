"""What the operator decides for the engine; values only, read by queries as a fact."""

from __future__ import annotations

from dataclasses import dataclass

from engine.graph.reader import Reader


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of the engine: part of its input, equal on every machine that computes the same domain.

    `gateway_classes` are class names that are ours though no GatewayClass object of that name exists.
    `shared_address`: all Gateways listen on one address (standalone), so a port belongs to the oldest of them, and no
    other process may listen on it beside its proxy. `service_addresses`: a Gateway is where the Service before its
    proxies is (Kubernetes), not on `bind_address`. `reserved_ports` (TCP) are taken by the proxies themselves.
    `reference_grant_mode`: STRICT, PERMISSIVE or OFF, which references across namespaces must be granted (kgateway's).
    Policies of `global_policy_namespace` ("" for none) may choose targets of every namespace by their labels.
    `deep_merges`: fields of TrafficPolicy of which all blocks at one level count together, not the oldest's alone.
    `may_be_disabled`: fields of TrafficPolicy ("*" for all) that what is below a Gateway, a listener or a rule that
    delegates may switch off though they guard it there.
    `dns_lookup_family`: which addresses of Backends' host names are asked (kgateway's): AUTO, V4_ONLY, V6_ONLY,
    V4_PREFERRED or ALL.
    `configuration_cluster`: whose Cluster objects describe the clusters of the domain ("" for none).
    `trusted_keys`: (who, ed25519 public key in base64); who is a source of the control plane's own, cluster/NAME,
    cluster/* for clusters without keys of their own (but the configuration cluster), or "" for all of these. None:
    nothing has to be signed.
    `domain`: its name, which signed change sets must say ("": any).
    `weighted_route_precedence`: a route's annotation kgateway.dev/route-weight goes before all other precedence.
    """

    controller_name: str = "penstock.dev/gateway-controller"
    bind_address: str = "127.0.0.1"
    gateway_classes: tuple[str, ...] = ("penstock",)
    shared_address: bool = True
    service_addresses: bool = False
    reserved_ports: tuple[int, ...] = ()
    global_policy_namespace: str = ""
    reference_grant_mode: str = "PERMISSIVE"
    dns_lookup_family: str = "V4_PREFERRED"
    weighted_route_precedence: bool = False
    deep_merges: tuple[str, ...] = ("acl",)
    may_be_disabled: tuple[str, ...] = ()
    configuration_cluster: str = ""
    trusted_keys: tuple[tuple[str, str], ...] = ()
    domain: str = ""


FACT = "settings"


def settings(graph: Reader) -> EngineSettings:
    """The settings in force."""
    value = graph.fact(FACT)
    return value if isinstance(value, EngineSettings) else EngineSettings()
