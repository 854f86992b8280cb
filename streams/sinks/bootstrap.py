"""The bootstrap of a local Envoy: who it is, where its config comes from; nothing of the config itself."""

from __future__ import annotations

from typing import Any

_ADS = "xds_cluster"
_HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def bootstrap(gateway: str, proxy: str, socket: str, token: str) -> dict[str, Any]:
    """Delta ADS over a unix socket, so that no port can be taken; the admin page on a free local port."""
    ads = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [
            {
                "envoy_grpc": {"cluster_name": _ADS},
                "initial_metadata": [{"key": "authorization", "value": f"Bearer {token}"}],
            }
        ],
    }
    # However long the publisher takes: after 15 s, the default, Envoy would call itself ready with nothing to serve.
    awaited = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {
        "node": {"id": proxy, "cluster": "penstock", "metadata": {"gateway": gateway}},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "dynamic_resources": {
            "ads_config": ads,
            "lds_config": awaited,
            "cds_config": awaited,
        },
        "static_resources": {"clusters": [_cluster(socket)]},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {"re2.max_program_size.error_level": 1000}}]},
    }


def _cluster(socket: str) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": socket}}}}
    return {
        "name": _ADS,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": _ADS, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            _HTTP2: {
                "@type": f"type.googleapis.com/{_HTTP2}",
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
                },
            }
        },
    }
