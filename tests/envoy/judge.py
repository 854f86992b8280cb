"""Asks the real Envoy, in its validate mode, about messages; it starts nothing that serves."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from betterproto2 import Message
from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Bootstrap,
    BootstrapDynamicResources,
    BootstrapStaticResources,
    LayeredRuntime,
)
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import (
    ApiConfigSource,
    ApiConfigSourceApiType,
    ApiVersion,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    Node,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration, VirtualHost
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret

from engine.envoy.listener import _connection_manager, address
from engine.envoy.typed import packed, unpacked
from engine.envoy.wire import construct, encode
from engine.policies.features import STANDING
from streams.sinks.bootstrap import bootstrap
from streams.sinks.local_envoy import envoy_binary
from tests.envoy.breaking import changed

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_SECONDS = 240.0


async def verdict(*messages: Message) -> tuple[bool, str]:
    """Whether Envoy takes a bootstrap that contains the messages, all of one class, and what it said."""
    with tempfile.TemporaryDirectory(prefix="judge-") as folder:
        path = Path(folder) / "bootstrap.pb"
        path.write_bytes(encode(_bootstrap(messages)))
        process = await asyncio.create_subprocess_exec(
            str(envoy_binary(None)), "--mode", "validate", "-c", str(path), "-l", "error", "--disable-hot-restart",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    return process.returncode == 0, output.decode(errors="replace")


def _bootstrap(messages: Sequence[Message]) -> Bootstrap:
    message = messages[0]
    grpc = construct(GrpcService, envoy_grpc=construct(GrpcServiceEnvoyGrpc, cluster_name="xds"))
    ads = construct(
        ApiConfigSource,
        api_type=ApiConfigSourceApiType.GRPC,
        transport_api_version=ApiVersion.V3,
        grpc_services=[grpc],
    )
    found: dict[str, list[Any]] = {"clusters": [construct(Cluster, name="xds")]}
    if isinstance(message, Cluster):
        found["clusters"] += messages
    elif isinstance(message, ClusterLoadAssignment):
        found["clusters"].append(construct(Cluster, name="judged", load_assignment=message))
    elif isinstance(message, Secret):
        found["secrets"] = [message]
    elif isinstance(message, Listener):
        found["listeners"] = [message]
    else:
        chain = message if isinstance(message, FilterChain) else _chain(_routes(messages))
        found["listeners"] = [
            construct(Listener, name="judge", address=address("127.0.0.1", 1), filter_chains=[chain])
        ]
    return construct(
        Bootstrap,
        node=construct(Node, id="judge", cluster="judge"),
        dynamic_resources=construct(BootstrapDynamicResources, ads_config=ads),
        static_resources=construct(BootstrapStaticResources, **found),
        layered_runtime=LayeredRuntime.from_dict(bootstrap("judge", "judge", "", "")["layered_runtime"]),
    )


def _routes(messages: Sequence[Message]) -> Message:
    message = messages[0]
    if isinstance(message, RouteConfiguration):
        return message
    if isinstance(message, Route):
        message = construct(VirtualHost, name="judged", domains=["judged.invalid"], routes=list(messages))
    return construct(RouteConfiguration, name="judged", virtual_hosts=[message], validate_clusters=False)


def _chain(routes: Message) -> FilterChain:
    manager = changed(unpacked(_connection_manager("judged", STANDING).typed_config), rds=None, route_config=routes)
    network = construct(Filter, name="manager", typed_config=packed(_MANAGER, manager))
    return construct(FilterChain, filters=[network])


__all__ = ["HttpConnectionManager", "verdict"]
