"""What a Gateway puts out: its listeners, empty route configurations, certificates, the proxy it wants, its status."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from engine.envoy.fragment import fragment
from engine.envoy.listener import listener
from engine.envoy.names import listener_name, secret_name, virtual_host_name
from engine.envoy.route_config import route_config, virtual_host
from engine.envoy.secret import certificate as certificate_message
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import generation
from engine.outputs.channels import (
    ATTACHED,
    DEADLINE,
    FRAGMENT,
    HOST,
    INFRA,
    NODE,
    SECRET,
    STATUS,
    Host,
    Wanted,
)
from engine.ref import Ref
from engine.resolve.certificate import SEALER, Checked, wanted_certificate
from engine.resolve.certificate import Wanted as CertificateKey
from engine.resolve.listener import Listener, listeners
from engine.resolve.settings import settings
from engine.resolve.termination import Termination, terminations
from engine.resolve.values import EnvoyListener, FilterChain, VirtualHost
from engine.seal import Sealer
from engine.status.gateway import gateway_status
from engine.update import FragmentKey, FragmentKind

_MISDIRECTED = 421


def gateway_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """Listeners, route configurations and the proxy; nothing that a route or a certificate's content changes."""
    found = graph.get(listeners, gateway)
    if found is None:
        return Outputs()
    ends = {one.listener: one for one in graph.get(terminations, gateway)}
    serving = [one for one in found if one.serves and (not one.tls or ends[one.name].secrets)]
    provenance = ((gateway, graph.get(generation, gateway)),)
    items: list[tuple[str, str, Any]] = []
    counts: dict[tuple[str, Hashable], None] = {}
    for port in sorted({one.port for one in serving}):
        mine = [one for one in serving if one.port == port]
        value = _listener(port, mine, ends)
        at = FragmentKey(gateway, FragmentKind.LISTENER, value.name)
        message = listener(value, settings(graph).bind_address)
        items.append((FRAGMENT, str(at), fragment(at, message, provenance=provenance)))
        for name in sorted({one.route_config for one in mine}):
            at = FragmentKey(gateway, FragmentKind.ROUTE_CONFIG, name)
            items.append((FRAGMENT, str(at), fragment(at, route_config(name), provenance=provenance)))
        items += _misdirected(gateway, mine, provenance)
        # Its own hostname answers 404 where no route stands: a less specific listener must not take over.
        counts |= {(HOST, Host(gateway, one.route_config, one.hostname or "*", one.tls)): None for one in mine}
        counts |= {(SECRET, Wanted(gateway, ref)): None for one in mine if one.tls for ref in ends[one.name].secrets}
    ports = sorted({one.port for one in serving})
    infra = {"gateway": str(gateway), "name": gateway.name, "namespace": gateway.namespace, "ports": ports}
    items.append((INFRA, str(gateway), infra))
    return Outputs(tuple(items), tuple(counts))


def _listener(port: int, mine: list[Listener], ends: dict[str, Termination]) -> EnvoyListener:
    tls = mine[0].tls
    chains = tuple(
        FilterChain(one.name, one.hostname, one.route_config, tuple(secret_name(ref) for ref in ends[one.name].secrets))
        for one in mine
        if tls
    )
    return EnvoyListener(listener_name(port), port, tls, mine[0].route_config, chains)


def _misdirected(gateway: Ref, mine: list[Listener], provenance: Any) -> list[tuple[str, str, Any]]:
    """A host of another HTTPS listener on this one's connection is answered 421 (Gateway API, Listener.hostname)."""
    items = []
    for one in mine:
        others = sorted({other.hostname or "*" for other in mine if other.hostname != one.hostname})
        if not one.tls or not others:
            continue
        name = virtual_host_name(one.route_config, "misdirected-request")
        value = VirtualHost(name, one.route_config, "", tuple(others), status=_MISDIRECTED)
        at = FragmentKey(gateway, FragmentKind.VIRTUAL_HOST, name)
        made = fragment(at, virtual_host(value), parent=one.route_config, provenance=provenance)
        items.append((FRAGMENT, str(at), made))
    return items


def host_outputs(graph: Reader, key: Host) -> Outputs:  # noqa: ARG001  a query takes both
    """A virtual host, without its routes."""
    name = virtual_host_name(key.route_config, key.hostname)
    value = VirtualHost(name, key.route_config, key.hostname, (key.hostname,), require_tls=key.tls)
    at = FragmentKey(key.gateway, FragmentKind.VIRTUAL_HOST, name)
    return Outputs(((FRAGMENT, str(at), fragment(at, virtual_host(value), parent=key.route_config)),))


def secret_outputs(graph: Reader, key: Wanted) -> Outputs:
    """A certificate, sealed, and when it expires."""
    checked = graph.get(wanted_certificate, CertificateKey(*key))
    sealer = graph.fact(SEALER)
    if not isinstance(checked, Checked) or not isinstance(sealer, Sealer):
        return Outputs()
    pair = checked.certificate
    message = certificate_message(
        secret_name(key.secret), sealer.unseal_text(pair.certificate), sealer.unseal_text(pair.key)
    )
    at = FragmentKey(key.gateway, FragmentKind.SECRET, secret_name(key.secret))
    provenance = ((key.secret, graph.get(generation, key.secret)),)
    made = fragment(at, message, provenance=provenance, sealer=sealer)
    return Outputs(((FRAGMENT, str(at), made), (DEADLINE, str(at), checked.expires)))


def gateway_status_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """The status of a Gateway of ours, and the nodes of it and its listeners."""
    found = graph.get(listeners, gateway)
    if found is None:
        return Outputs()
    attached = {one.name: graph.count(ATTACHED, (gateway, one.name)) for one in found}
    status = gateway_status(graph, gateway, attached)
    items: list[tuple[str, str, Any]] = [(STATUS, str(gateway), status)]
    node = {"gateway": str(gateway), "listeners": [one.name for one in found]}
    items.append((NODE, f"gateway/{gateway}", node))
    for one in found:
        value = {
            "gateway": str(gateway),
            "name": one.name,
            "port": one.port,
            "protocol": one.protocol,
            "hostname": one.hostname or "*",
            "attachedRoutes": attached[one.name],
            "serves": one.serves,
        }
        items.append((NODE, f"listener/{gateway}/{one.name}", value))
    return Outputs(tuple(items))
