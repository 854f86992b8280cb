"""From a connection to a request that routes are looked for: listener, filter chain, and what comes before routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption, HeaderValueOptionHeaderAppendAction
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import HeaderMutation
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import DownstreamTlsContext

from engine.envoy.typed import unpacked
from engine.history.explain.client import believed
from engine.history.explain.config import Config, port_of
from engine.history.explain.path import merged, normalized
from engine.history.explain.request import Request, Seen
from engine.history.explain.virtual_host import domain_of, without_port

_ACTION: Final = HeaderValueOptionHeaderAppendAction
_HOP_BY_HOP: Final = ("keep-alive", "proxy-connection", "transfer-encoding", "x-envoy-internal")
_OF_THE_EDGE: Final = (
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-original-path",
)
"""What a proxy before may say (use_remote_address is off), and no client."""
_OF_ITS_OWN: Final = (
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-ip-tags",
    "x-envoy-original-url",
    "x-envoy-hedge-on-per-try-timeout",
)
"""What nobody from outside may say."""
SOME_ID: Final = "00000000-0000-4000-8000-000000000000"
"""Stands for an x-request-id that the proxy makes up."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Where a connection is taken."""

    listener: Listener
    chain: FilterChain
    manager: HttpConnectionManager | None
    """None where its bytes are handed on unread (`stream`)."""
    stream: TcpProxy | None = None


def arrive(config: Config, request: Request) -> Arrived | str:
    """The listener and filter chain of a connection, or why it is not taken."""
    listener = next((one for one in config.listeners if port_of(one) == request.port), None)
    if listener is None:
        ports = ", ".join(str(port_of(one)) for one in config.listeners) or "none"
        return f"no listener has port {request.port}: the Gateway listens on {ports}"
    chain = _chain(config.chains(listener), request.sni)
    if chain is None:
        return f"no filter chain of {listener.name} takes the TLS name {request.sni or '(none)'}"
    inside = config.inside(chain.filters[-1].typed_config) if chain.filters else None
    if isinstance(inside, TcpProxy) and chain.transport_socket is None:
        return Arrived(listener, chain, None, inside)
    refused = _tls_refused(config, chain, request)
    if refused:
        return f"{listener.name}: {refused}"
    if isinstance(inside, HttpConnectionManager):
        return Arrived(listener, chain, inside)
    return Arrived(listener, chain, None, inside if isinstance(inside, TcpProxy) else None)


def _chain(chains: list[FilterChain], sni: str | None) -> FilterChain | None:
    """By server names: exact, then the longest wildcard, then a chain that asks for none."""
    by_name: dict[str, FilterChain] = {}
    for one in chains:
        names = one.filter_chain_match.server_names if one.filter_chain_match is not None else []
        for name in names or ["*"]:
            by_name.setdefault(name.lower(), one)
    found = domain_of(by_name, sni, ignore_port=False) if sni else None
    return by_name.get(found or "*")


def _tls_refused(config: Config, chain: FilterChain, request: Request) -> str:
    socket = chain.transport_socket
    if socket is None:
        return "" if request.sni is None else "it takes no TLS"
    if request.sni is None:
        return "it takes TLS only"
    inside = config.inside(socket.typed_config)
    if isinstance(inside, DownstreamTlsContext) and inside.require_client_certificate and not request.certificate:
        return "it asks for a client certificate, and none is shown"
    return ""


# -- what the connection manager does before routes -----------------------------------------------------------------


def seen(manager: HttpConnectionManager, request: Request) -> Seen | str:
    """The request as routes see it, or why it is answered with 400."""
    if not request.host and not _accepts_http10(manager):
        return "a request of HTTP/1.1 has a host"
    if "#" in request.path:
        return "a path with a fragment is none"
    path: str | None = request.path
    if manager.normalize_path and path:
        path = normalized(path)
    if path is None:
        return f"{request.path} is no path"
    if manager.merge_slashes:
        path = merged(path)
    arrived = Seen()
    for name, value in request.headers:
        arrived.put(name.lower(), value.strip(" \t"), beside=True)
    found = arrived.headers
    _connected(arrived)
    arrived.client, scheme = believed(manager, request, found)
    found |= {":method": request.method, ":path": path, ":authority": _host(manager, request), ":scheme": scheme}
    is_edge = bool(manager.use_remote_address)
    for name in (*_OF_ITS_OWN, *_OF_THE_EDGE) if is_edge else _OF_ITS_OWN:
        arrived.put(name, None)
    is_kept = "x-request-id" in found and (manager.preserve_external_request_id or not is_edge)
    if manager.generate_request_id is not False and not is_kept:
        arrived.put("x-request-id", SOME_ID)
    _mutate(manager, arrived)
    return arrived


def _accepts_http10(manager: HttpConnectionManager) -> bool:
    return manager.http_protocol_options is not None and manager.http_protocol_options.accept_http_10


def _connected(arrived: Seen) -> None:
    """Without what concerns one connection only."""
    for name in _HOP_BY_HOP if arrived.is_upgrade else (*_HOP_BY_HOP, "connection", "upgrade"):
        arrived.put(name, None)
    if "te" in arrived.headers:
        tokens = {one.strip() for one in arrived.headers["te"].split(",")}
        arrived.put("te", "trailers" if "trailers" in tokens else None)


def _host(manager: HttpConnectionManager, request: Request) -> str:
    """The host, without its port where that is stripped."""
    host = request.host
    bare = without_port(host)
    port = host[len(bare) + 1 :]
    if not port.isdecimal():
        return host
    return (
        bare
        if manager.strip_any_host_port or (manager.strip_matching_host_port and int(port) == request.port)
        else host
    )


def _mutate(manager: HttpConnectionManager, arrived: Seen) -> None:
    """early_header_mutation: what is changed before a route is looked for."""
    for change in _mutations(manager):
        if change.remove:
            arrived.put(change.remove.lower(), None)
        elif change.append is not None:
            _append(arrived, change.append)


def _mutations(manager: HttpConnectionManager) -> Iterator[Mutation]:
    for one in manager.early_header_mutation_extensions:
        message = unpacked(one.typed_config) if one.typed_config is not None else None
        if isinstance(message, HeaderMutation):
            yield from message.mutations


def mutated(manager: HttpConnectionManager) -> Iterator[str]:
    """The headers that are set before a route is looked for."""
    for one in _mutations(manager):
        if one.append is not None and one.append.header is not None:
            yield one.append.header.key.lower()


def _append(arrived: Seen, option: HeaderValueOption) -> None:
    header: Any = option.header
    name, value = header.key.lower(), header.value.replace("%%", "%")
    if name not in arrived.headers:
        if option.append_action != _ACTION.OVERWRITE_IF_EXISTS and (value or option.keep_empty_value):
            arrived.put(name, value)
    elif option.append_action != _ACTION.ADD_IF_ABSENT:
        arrived.put(name, value, beside=option.append_action == _ACTION.APPEND_IF_EXISTS_OR_ADD)
