"""What a Gateway puts out: its listeners, empty route configurations, certificates, its status."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from envoy_data_plane.envoy.config.listener.v3 import Listener as ListenerMessage

from engine.envoy.added import Additions
from engine.envoy.effect import Effect
from engine.envoy.fragment import Provenance, fragment
from engine.envoy.listener import listener
from engine.envoy.names import (
    authorities_name,
    listener_name,
    misdirected_name,
    secret_name,
    udp_name,
    virtual_host_name,
)
from engine.envoy.pgv import violation
from engine.envoy.route_config import route_config, virtual_host
from engine.envoy.secret import authorities as authorities_message
from engine.envoy.secret import certificate as certificate_message
from engine.envoy.stream import udp_listener
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import generation
from engine.outputs.channels import (
    AROUND,
    ATTACHED,
    AUTHORITIES,
    BACKEND,
    BROKEN,
    CHAIN,
    CONFIG,
    CREDENTIAL,
    DEADLINE,
    EXPIRY,
    FRAGMENT,
    HOST,
    NODE,
    SECRET,
    SETS,
    STANDS,
    STATUS,
    Around,
    Chain,
    Config,
    Host,
    Used,
    Wanted,
)
from engine.outputs.emission import Emission, Target, broken, emission
from engine.outputs.listener_policy import NOTHING, Applied, additions, applied, standing_policies
from engine.outputs.policies import At as PolicyAt
from engine.outputs.policies import level
from engine.policies.features import AROUND as AROUND_CONFIGS
from engine.policies.features import STANDING as STANDING_FILTERS
from engine.ref import Ref
from engine.resolve.certificate import SEALER, Checked, Served, expiry, served_certificate
from engine.resolve.client_certificate import client_certificate, named_certificate
from engine.resolve.frontend import Port, client_authorities, frontend
from engine.resolve.listener import Listener, listeners
from engine.resolve.listener_policy import Place
from engine.resolve.manifest import REMOTE_GATEWAY, withheld_fact
from engine.resolve.settings import EngineSettings, settings
from engine.resolve.termination import Termination, terminations
from engine.resolve.values import EnvoyListener, FilterChain, Problem, VirtualHost
from engine.seal import Sealer
from engine.status.gateway import gateway_status, refused_status
from engine.status.listener import is_served
from engine.update import FragmentKey, FragmentKind

_MISDIRECTED = 421
_BY_SNI: Final = frozenset({"HTTPS", "TLS", REMOTE_GATEWAY})
"""Protocols of listeners whose connections are told apart by the server name that TLS asks for."""
_ERROR_SHOWN = 300
_CHAIN: Final = re.compile(r"filter_chains\[(\d+)\]")


def gateway_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """Listeners and route configurations; nothing that a route or a certificate's content changes."""
    found = graph.get(listeners, gateway)
    if found is None:
        return Outputs()
    ends = {one.listener: one for one in graph.get(terminations, gateway)}
    serving = [one for one in found if is_served(one, ends.get(one.name))]
    items: list[tuple[str, str, Any]] = []
    # Of those that cannot be served too: that one expired is known for as long as it is named, and no longer.
    named = [*(ref for one in ends.values() for ref in one.named), graph.get(named_certificate, gateway)]
    counts: dict[tuple[str, Hashable], None] = {
        (EXPIRY, Wanted(gateway, ref)): None for ref in named if isinstance(ref, Ref)
    }
    for carrier, port in sorted({(one.transport, one.port) for one in serving}):
        mine = [one for one in serving if (one.transport, one.port) == (carrier, port)]
        policies = graph.get(applied, Place(gateway, port)) if carrier == "TCP" else NOTHING
        added = additions(policies, port)
        port_ = _udp_port(mine, settings(graph)) if carrier == "UDP" else _port(mine, ends, settings(graph), added)
        for name, text in port_.broken:
            items.append((BROKEN, f"{gateway}/{name}", text))
            counts[BROKEN, gateway] = None
        if port_.message is None:
            continue
        sources = sorted({gateway, *(one.source for one in port_.served)})
        provenance = tuple((one, graph.get(generation, one)) for one in sources)
        items.append(_listener_item(graph, gateway, port_.message, sources, policies))
        counts |= {(BACKEND, Used(gateway, one)): None for effect in policies.effects for one in effect.backends}
        counts |= {(CONFIG, Config(gateway, one.route_config)): None for one in port_.served if one.requests}
        items += _misdirected(gateway, [one for one in port_.served if one.requests], provenance)
        counts |= dict.fromkeys(_wanted(gateway, port_.served, ends))
    client = graph.get(client_certificate, gateway)
    if isinstance(client, Ref):
        counts[SECRET, Wanted(gateway, client)] = None
    claims = tuple((STANDS, policy, gateway) for policy in graph.get(standing_policies, gateway))
    return Outputs(tuple(items), tuple(counts), claims)


def _listener_item(
    graph: Reader, gateway: Ref, message: ListenerMessage, sources: list[Ref], policies: Applied
) -> tuple[str, str, Any]:
    """The fragment of a listener; what of it comes of a Secret is sealed."""
    at = FragmentKey(gateway, FragmentKind.LISTENER, message.name)
    provenance = tuple((one, graph.get(generation, one)) for one in sorted({*sources, *policies.sources}))
    sealer = graph.fact(SEALER) if policies.sealed else None
    return FRAGMENT, str(at), fragment(at, message, provenance=provenance, sealer=sealer)


def _wanted(gateway: Ref, served: list[Listener], ends: dict[str, Termination]) -> Iterator[tuple[str, Hashable]]:
    """What stands on a port though no route does: a hostname of its own, which no less specific listener may take."""
    for one in served:
        hostname = one.hostname or "*"
        if one.requests:
            yield HOST, Host(gateway, one.route_config, hostname, one.tls, one.name)
        else:
            yield CHAIN, Chain(gateway, one.name, hostname)
        for ref in ends[one.name].secrets if one.tls else ():
            yield SECRET, Wanted(gateway, ref)
        if one.tls and (client := ends[one.name].client) is not None:
            yield AUTHORITIES, Port(gateway, client.port, client.section)


def listeners_broken(graph: Reader, gateway: Ref) -> dict[str, str]:
    """Which of a Gateway's listeners break Envoy's field rules, and which rule."""
    if not graph.count(BROKEN, gateway):
        return {}
    items = graph.get(gateway_outputs, gateway).items
    return {key.rpartition("/")[2]: text for channel, key, text in items if channel == BROKEN}


class _Port(NamedTuple):
    """The Envoy listener of a port, what it serves, and what the rest breaks."""

    message: ListenerMessage | None
    served: list[Listener]
    broken: list[tuple[str, str]]


def _udp_port(mine: list[Listener], given: EngineSettings) -> _Port:
    """As `_port`; one listener has the port alone."""
    message = udp_listener(udp_name(mine[0].port), given.bind_address, mine[0].port)
    found = violation(message)
    return _Port(message, mine, []) if found is None else _Port(None, [], [(mine[0].name, str(found))])


def _port(mine: list[Listener], ends: dict[str, Termination], given: EngineSettings, added: Additions) -> _Port:
    """A listener whose filter chain breaks a rule is left out alone; what is not of one chain concerns all."""
    told: list[tuple[str, str]] = []
    while mine:
        value = _listener(mine[0].port, mine, ends)
        message = listener(value, given.bind_address, STANDING_FILTERS, alone=given.shared_address, additions=added)
        found = violation(message)
        if found is None:
            return _Port(message, mine, told)
        chain = _CHAIN.match(found.path)
        ours = [one for one in mine if one.requests]
        guilty = [ours[int(chain[1])]] if chain is not None and ours[0].tls else mine
        told += [(one.name, str(found)) for one in guilty]
        mine = [one for one in mine if one not in guilty]
    return _Port(None, [], told)


def _listener(port: int, mine: list[Listener], ends: dict[str, Termination]) -> EnvoyListener:
    plain = next((one.route_config for one in mine if one.protocol == "HTTP"), "")
    chains = tuple(
        FilterChain(one.name, one.hostname, one.route_config, tuple(map(secret_name, end.secrets)), end.client)
        for one in mine
        if one.requests and not plain and (end := ends[one.name])
    )
    return EnvoyListener(listener_name(port), port, mine[0].protocol in _BY_SNI, plain, chains)


def _misdirected(gateway: Ref, mine: list[Listener], provenance: Provenance) -> list[tuple[str, str, Any]]:
    """A host of another HTTPS listener on this one's connection is answered 421 (Gateway API, Listener.hostname)."""
    items: list[tuple[str, str, Any]] = []
    for one in mine:
        others = sorted({other.hostname or "*" for other in mine if other.hostname != one.hostname})
        if not one.tls or not others:
            continue
        name = misdirected_name(one.route_config)
        value = VirtualHost(name, one.route_config, "", tuple(others), status=_MISDIRECTED)
        at = FragmentKey(gateway, FragmentKind.VIRTUAL_HOST, name)
        items += emission(Target(at, at, provenance, one.route_config), virtual_host(value)).items
    return items


def config_outputs(graph: Reader, key: Config) -> Outputs:
    """A route configuration, without its virtual hosts."""
    effect = graph.get(level, PolicyAt(key.gateway, ""))
    served = [one for one in graph.get(listeners, key.gateway) or () if one.route_config == key.name]
    sources = sorted({key.gateway, *(one.source for one in served if one.serves)})
    at = FragmentKey(key.gateway, FragmentKind.ROUTE_CONFIG, key.name)
    to = Target(at, key, _provenance(graph, [*sources, *effect.sources]))
    message = route_config(key.name, _with_those_around(graph, key, effect))
    return _with_needs(key.gateway, effect, emission(to, message, _sealer(graph, effect)))


def _with_those_around(graph: Reader, key: Config, effect: Effect) -> Effect:
    """With what all that stands in the route configuration needs there; a filter that is off there is so without."""
    wanted = {name for name in AROUND_CONFIGS if graph.get(is_wanted_around, Around(*key, name))}
    configs = dict(effect.configs) | {name: AROUND_CONFIGS[name] for name in wanted | set(effect.around)}
    return replace(effect, configs=tuple(sorted(configs.items())))


def is_wanted_around(graph: Reader, key: Around) -> bool:
    """Whether anything in a route configuration needs a filter's config there; how many do stops here."""
    return graph.count(AROUND, key) > 0


def host_outputs(graph: Reader, key: Host) -> Outputs:
    """A virtual host, without its routes. What makes it is not named: all routes of a hostname may share it."""
    name = virtual_host_name(key.route_config, key.hostname)
    value = VirtualHost(name, key.route_config, key.hostname, (key.hostname,), require_tls=key.tls)
    at = FragmentKey(key.gateway, FragmentKind.VIRTUAL_HOST, name)
    words = graph.fact(withheld_fact(str(at)))
    if words:
        return Outputs(((BROKEN, str(at), f"a proxy rejected it ({str(words)[:_ERROR_SHOWN]})"),), ((BROKEN, key),))
    effect = graph.get(level, PolicyAt(key.gateway, key.listener))
    to = Target(at, key, _provenance(graph, effect.sources), key.route_config)
    made = _with_needs(key.gateway, effect, emission(to, virtual_host(value, effect), _sealer(graph, effect)))
    around = tuple((AROUND, Around(key.gateway, key.route_config, name)) for name in effect.around)
    return replace(made, counts=(*made.counts, *around))


def _provenance(graph: Reader, sources: Iterable[Ref]) -> Provenance:
    return tuple((one, graph.get(generation, one)) for one in sources)


def _sealer(graph: Reader, effect: Effect) -> Sealer | None:
    sealer = graph.fact(SEALER) if effect.sealed else None
    return sealer if isinstance(sealer, Sealer) else None


def _with_needs(gateway: Ref, effect: Effect, made: Emission) -> Outputs:
    wanted = tuple((BACKEND, Used(gateway, one)) for one in effect.backends)
    named = tuple((CREDENTIAL, one) for one in effect.credentials)
    return Outputs(made.items, (*made.counts, *wanted, *named))


def host_broken(graph: Reader, key: Host) -> Problem | None:
    """Why a virtual host is not served: it breaks Envoy's field rules, or a proxy rejected it."""
    found = broken(graph, key, (host_outputs, key))
    if found is None:
        return None
    return Problem("UnsupportedValue", f"hostname {key.hostname} is not served in {key.route_config}: {found}")


def secret_outputs(graph: Reader, key: Wanted) -> Outputs:
    """A certificate, sealed."""
    checked = graph.get(served_certificate, Served(*key))
    sealer = graph.fact(SEALER)
    if not isinstance(checked, Checked) or not isinstance(sealer, Sealer):
        return Outputs()
    pair = checked.certificate
    message = certificate_message(
        secret_name(key.secret), sealer.unseal_text(pair.certificate), sealer.unseal_text(pair.key)
    )
    at = FragmentKey(key.gateway, FragmentKind.SECRET, secret_name(key.secret))
    provenance = ((key.secret, graph.get(generation, key.secret)),)
    return Outputs(*emission(Target(at, key, provenance), message, sealer))


def authority_outputs(graph: Reader, key: Port) -> Outputs:
    """The authorities of the clients of a port, sealed: some may be a Secret's."""
    asked, found, sealer = graph.get(frontend, key), graph.get(client_authorities, key), graph.fact(SEALER)
    if asked is None or not asked.is_met or not isinstance(sealer, Sealer):
        return Outputs()
    name = authorities_name(key.port, key.section)
    at = FragmentKey(key.gateway, FragmentKind.SECRET, name)
    provenance = tuple((one, graph.get(generation, one)) for one in found.sources)
    message = authorities_message(name, found.bundle, insecure=asked.insecure)
    return Outputs(*emission(Target(at, key, provenance), message, sealer))


def expiry_outputs(graph: Reader, key: Wanted) -> Outputs:
    """When a certificate expires."""
    expires = graph.get(expiry, Served(*key))
    return Outputs(((DEADLINE, f"{key.gateway}/{key.secret}", expires),) if expires is not None else ())


def gateway_status_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """The status of a Gateway of ours, and the nodes of it and its listeners."""
    found = graph.get(listeners, gateway)
    if found is None:
        refused = refused_status(graph, gateway)
        return Outputs(((STATUS, str(gateway), refused),) if refused is not None else ())
    attached = {one.name: graph.count(ATTACHED, (gateway, one.name)) for one in found}
    sets = graph.count(SETS, gateway)
    status = gateway_status(graph, gateway, attached, graph.get(listeners_broken, gateway), sets)
    items: list[tuple[str, str, Any]] = [(STATUS, str(gateway), status)]
    addresses = status["status"].get("addresses", [])
    node = {"gateway": str(gateway), "listeners": [one.name for one in found], "addresses": addresses}
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
