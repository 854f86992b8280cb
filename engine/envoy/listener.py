"""Listeners: one a port, with an HTTP connection manager a chain.

Their bytes name route configurations and secrets only: a route, certificate or endpoint change must not touch them,
or every connection would drain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.http.stateful_session.v3 import StatefulSession
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector.v3 import TlsInspector
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerServerHeaderTransformation,
    HttpFilter,
    Rds,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    SdsSecretConfig,
)

from engine.envoy.added import NOTHING, Added, Additions
from engine.envoy.address import address
from engine.envoy.names import authorities_name
from engine.envoy.typed import ads, packed
from engine.envoy.wire import construct
from engine.resolve.values import Client, EnvoyListener
from engine.resolve.values import FilterChain as ChainValue

_HTTP = "envoy.extensions.filters.http"
CORS = "envoy.filters.http.cors"
STATEFUL_SESSION = "envoy.filters.http.stateful_session"
_NONE: Final = Additions()


def listener(
    value: EnvoyListener, bind: str, filters: Sequence[HttpFilter], *, alone: bool, additions: Additions = _NONE
) -> Listener:
    """The Envoy listener of a port, on address `bind`; `alone`, no other process may listen there too.

    `filters` are what requests pass before the router.

    By default Envoy lets every process of the same user listen on its port, and the kernel gives each a part of the
    connections. One socket for all workers is refused to others, and balances worse between workers.
    """
    return construct(
        Listener,
        name=value.name,
        address=address(bind, value.port),
        enable_reuse_port=False if alone else None,
        filter_chains=_chains(value, filters, additions),
        listener_filters=[*additions.port.listener_filters, *([_tls_inspector()] if value.tls else [])],
        **dict(additions.port.listener),
    )


def _chains(value: EnvoyListener, filters: Sequence[HttpFilter], additions: Additions) -> list[FilterChain]:
    if not value.route_config:
        return [_chain(chain, filters, additions.of(chain.name)) for chain in value.chains]
    added = additions.of(value.name)
    managers = [_connection_manager(value.route_config, filters, added)]
    return [construct(FilterChain, name=value.name, filters=managers, **dict(added.chain))]


def _chain(chain: ChainValue, filters: Sequence[HttpFilter], added: Added) -> FilterChain:
    match = construct(FilterChainMatch, server_names=[chain.server_name]) if chain.server_name else None
    return construct(
        FilterChain,
        name=chain.name,
        filter_chain_match=match,
        filters=[_connection_manager(chain.route_config, filters, added)],
        transport_socket=tls_socket(chain.secrets, ("h2", "http/1.1"), chain.client),
        **dict(added.chain),
    )


def tls_socket(secrets: tuple[str, ...], protocols: tuple[str, ...], client: Client | None = None) -> TransportSocket:
    """Ends TLS with certificates that come by SDS, offers protocols (ALPN), and may ask clients for certificates.

    Whom these must be signed by comes by SDS too.
    """
    tls = construct(
        DownstreamTlsContext,
        require_client_certificate=None if client is None or client.insecure or client.optional else True,
        common_tls_context=construct(
            CommonTlsContext,
            alpn_protocols=list(protocols),
            validation_context_sds_secret_config=None
            if client is None
            else _sds(authorities_name(client.port, client.section)),
            tls_certificate_sds_secret_configs=[_sds(name) for name in secrets],
        ),
    )
    return construct(
        TransportSocket,
        name="envoy.transport_sockets.tls",
        typed_config=packed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", tls),
    )


def _sds(name: str) -> SdsSecretConfig:
    return construct(SdsSecretConfig, name=name, sds_config=ads())


def _connection_manager(route_config: str, filters: Sequence[HttpFilter], added: Added = NOTHING) -> Filter:
    values: dict[str, Any] = {
        "stat_prefix": "http",
        "rds": construct(Rds, route_config_name=route_config, config_source=ads()),
        "http_filters": [*added.filters, *http_filters(filters)],
        # Else Envoy puts its own over what a ResponseHeaderModifier made of it, after all filters.
        "server_header_transformation": HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        **dict(added.manager),
    }
    manager = construct(HttpConnectionManager, **values)
    return construct(
        Filter,
        name="envoy.filters.network.http_connection_manager",
        typed_config=packed(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager
        ),
    )


def http_filters(before: Sequence[HttpFilter]) -> list[HttpFilter]:
    """What a request passes, in order."""
    return [
        *before,
        http_filter(STATEFUL_SESSION, f"{_HTTP}.stateful_session.v3.StatefulSession", StatefulSession()),
        http_filter("envoy.filters.http.router", f"{_HTTP}.router.v3.Router", Router()),
    ]


def http_filter(name: str, type_name: str, config: Message, *, disabled: bool = False) -> HttpFilter:
    """A filter; a `disabled` one does nothing until a config of its name below switches it on."""
    return construct(HttpFilter, name=name, typed_config=packed(type_name, config), disabled=disabled)


def _tls_inspector() -> ListenerFilter:
    return construct(
        ListenerFilter,
        name="envoy.filters.listener.tls_inspector",
        typed_config=packed("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", TlsInspector()),
    )
