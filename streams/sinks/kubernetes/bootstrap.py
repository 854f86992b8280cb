"""The bootstrap of a proxy in a pod: who it is, where its config comes from, how its health and numbers are read."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from streams.sinks.kubernetes.proxy import Proxy, Publisher

READY_PORT: Final = 8082
METRICS_PORT: Final = 9091
ADMIN_PORT: Final = 19000
RESERVED_PORTS: Final = (READY_PORT, METRICS_PORT, ADMIN_PORT)
"""Ports that no listener can have; kgateway's, which monitors and port-forwards know."""
CONFIG_FOLDER: Final = "/etc/envoy"
IDENTITY: Final = "xds-identity"
IDENTITY_FOLDER: Final = "/var/run/secrets/xds"
"""Where that is by which a proxy proves of which Gateway it is one."""
IDENTITY_FILE: Final = "xds_identity.json"
CERTIFICATE, KEY, TOKEN = "tls.crt", "tls.key", "token"
AUTHORITY: Final = "ca.crt"
_ADS: Final = "xds_cluster"
_ADMIN: Final = "admin_port_cluster"
_HTTP2: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_FILTERS: Final = "envoy.extensions.filters"


def bootstrap(proxy: Proxy, publisher: Publisher) -> dict[str, Any]:
    """Delta ADS over the network. What proves whose the proxy is stands in files of their own: they are renewed."""
    given = proxy.block("envoyContainer", "bootstrap")
    stats = proxy.block("stats")
    listeners = [_ready(given.get("enableReadinessProbeProxyProtocol") is True)]
    if stats.get("enabled") is not False:
        listeners.append(_metrics(stats))
    config: dict[str, Any] = {
        "node": {
            "cluster": f"{proxy.gateway.name}.{proxy.gateway.namespace}",
            "metadata": {"gateway": str(proxy.placement)},
        },
        "admin": {"address": _address("127.0.0.1", ADMIN_PORT)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": _ADS}}],
            },
            "lds_config": _awaited(),
            "cds_config": _awaited(),
        },
        "static_resources": {"listeners": listeners, "clusters": [_ads(publisher), _admin()]},
        "layered_runtime": {
            "layers": [
                {"name": "static", "static_layer": {"re2.max_program_size.error_level": 1000}},
                {"name": "admin", "admin_layer": {}},
            ]
        },
    }
    return config | _logged(given) | _resolver(given) | _matched(stats)


def identity_file(publisher: Publisher) -> dict[str, Any]:
    """What Envoy reads of a file to know in which other files its identity is.

    Of a secret's files it watches the folder, in which Kubernetes renames the one that they are links into.
    """
    secret: dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": IDENTITY,
    }
    if publisher.authority:
        secret["tls_certificate"] = {
            "certificate_chain": {"filename": f"{IDENTITY_FOLDER}/{CERTIFICATE}"},
            "private_key": {"filename": f"{IDENTITY_FOLDER}/{KEY}"},
        }
    else:
        secret["generic_secret"] = {"secret": {"filename": f"{IDENTITY_FOLDER}/{TOKEN}"}}
    return {"resources": [secret]}


def _awaited() -> dict[str, Any]:
    """However long the publisher takes: after the default 15 s Envoy would call itself ready with nothing to serve."""
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _endpoints(cluster: str, host: str, port: int) -> dict[str, Any]:
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(host, port)}}]}]}


def _ads(publisher: Publisher) -> dict[str, Any]:
    http2 = {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
    options: dict[str, Any] = {
        "@type": f"type.googleapis.com/{_HTTP2}",
        "explicit_http_config": {"http2_protocol_options": http2},
    }
    proved: dict[str, Any] = {}
    if publisher.authority:
        proved = {"transport_socket": _tls(publisher)}
        # A certificate is of a connection: on the same one a stream that it ended would be refused again (measured).
        options["common_http_protocol_options"] = {"max_requests_per_connection": 1}
    else:
        options["http_filters"] = [_token_filter(), _typed("http.upstream_codec", "UpstreamCodec")]
    return {
        "name": _ADS,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "5s",
        "load_assignment": _endpoints(_ADS, publisher.host, publisher.port),
        "typed_extension_protocol_options": {_HTTP2: options},
        **proved,
    }


def _tls(publisher: Publisher) -> dict[str, Any]:
    """Only the publisher is talked to, and it sees the proxy's certificate."""
    is_address = _is_address(publisher.name)
    names = {"san_type": "IP_ADDRESS" if is_address else "DNS", "matcher": {"exact": publisher.name}}
    common = {
        "alpn_protocols": ["h2"],
        # As a client Envoy goes no further than 1.2 unless told; there a certificate would go over the wire in clear.
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [{"name": IDENTITY, "sds_config": _identity()}],
        "validation_context": {
            "trusted_ca": {"filename": f"{CONFIG_FOLDER}/{AUTHORITY}"},
            "match_typed_subject_alt_names": [names],
        },
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": common,
            **({} if is_address else {"sni": publisher.name}),
        },
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _identity(**source: Any) -> dict[str, Any]:
    return {
        "path_config_source": {"path": f"{CONFIG_FOLDER}/{IDENTITY_FILE}", **source},
        "resource_api_version": "V3",
    }


def _token_filter() -> dict[str, Any]:
    generic = {
        "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
        "credential": {"name": IDENTITY, "sds_config": _identity(watched_directory={"path": IDENTITY_FOLDER})},
        "header": "authorization",
        "header_value_prefix": "Bearer ",
    }
    credential = {"name": "envoy.http.injected_credentials.generic", "typed_config": generic}
    return _typed("http.credential_injector", "CredentialInjector", overwrite=True, credential=credential)


def _admin() -> dict[str, Any]:
    return {
        "name": _ADMIN,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": _endpoints(_ADMIN, "127.0.0.1", ADMIN_PORT),
    }


def _typed(name: str, message: str, **fields: Any) -> dict[str, Any]:
    kind = f"type.googleapis.com/{_FILTERS}.{name}.v3.{message}"
    return {"name": f"envoy.filters.{name}", "typed_config": {"@type": kind, **fields}}


def _ready(takes_proxy_protocol: bool) -> dict[str, Any]:  # noqa: FBT001  the field itself
    listener = _listener("readiness_listener", READY_PORT, [("/ready", "/ready")])
    if takes_proxy_protocol:
        optional = _typed("listener.proxy_protocol", "ProxyProtocol", allow_requests_without_proxy_protocol=True)
        listener["listener_filters"] = [optional]
    return listener


def _metrics(stats: dict[str, Any]) -> dict[str, Any]:
    routes = [("/metrics", str(stats.get("routePrefixRewrite") or "/stats/prometheus?usedonly"))]
    if stats.get("enableStatsRoute"):
        routes.append(("/stats", str(stats.get("statsRoutePrefixRewrite") or "/stats")))
    return _listener("prometheus_listener", METRICS_PORT, routes)


def _listener(name: str, port: int, routes: list[tuple[str, str]]) -> dict[str, Any]:
    served = [
        {
            "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
            "route": {"cluster": _ADMIN, "prefix_rewrite": to},
        }
        for path, to in routes
    ]
    manager = _typed(
        "network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix=name,
        route_config={"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], "routes": served}]},
        http_filters=[_typed("http.router", "Router")],
    )
    return {"name": name, "address": _address("0.0.0.0", port), "filter_chains": [{"filters": [manager]}]}  # noqa: S104


def _logged(given: dict[str, Any]) -> dict[str, Any]:
    how = given.get("logFormat") or {}
    if not how:
        return {}
    written = {"json_format": how["json"]} if how.get("json") is not None else {"text_format": how.get("text")}
    return {"application_log_config": {"log_format": written}}


def _resolver(given: dict[str, Any]) -> dict[str, Any]:
    most = (given.get("dnsResolver") or {}).get("udpMaxQueries")
    if most is None:
        return {}
    kind = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    config = {"@type": kind, "udp_max_queries": most}
    return {"typed_dns_resolver_config": {"name": "envoy.network.dns_resolver.cares", "typed_config": config}}


_MATCHED: Final = {"inclusionList": "inclusion_list", "exclusionList": "exclusion_list"}


def _matched(stats: dict[str, Any]) -> dict[str, Any]:
    matcher = stats.get("matcher") or {}
    lists = {_MATCHED[key]: {"patterns": [_pattern(one) for one in matcher[key]]} for key in _MATCHED if key in matcher}
    return {"stats_config": {"stats_matcher": lists}} if lists else {}


def _pattern(given: dict[str, Any]) -> dict[str, Any]:
    ignored = {"ignore_case": True} if given.get("ignoreCase") and "safeRegex" not in given else {}
    if "safeRegex" in given:
        return {"safe_regex": {"regex": given["safeRegex"]}}
    return {key: given[key] for key in ("exact", "prefix", "suffix", "contains") if key in given} | ignored
