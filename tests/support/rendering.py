"""A real Envoy with one route for each of some transformations, before a mirror; filters and configs are the engine's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap, BootstrapStaticResources
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import Address, SocketAddress
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerUpgradeConfig,
)

from engine.envoy.effect import Effect
from engine.envoy.listener import http_filter
from engine.envoy.typed import packed
from engine.envoy.wire import construct, encode
from engine.models.traffic.transformation import Transformation
from engine.policies.features import AROUND, STANDING
from engine.policies.transformation import effect
from streams.sinks.local_envoy import envoy_binary
from tests.support.client import Answer, Ask, Connection
from tests.support.mirror import mirror

_SECONDS = 60.0
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
Block = Mapping[str, Any]
Json = Any


@dataclass(slots=True)
class Site:
    """Where it listens; `log` is what Envoy told."""

    port: int
    log: Path
    process: int = 0
    _connection: Connection | None = field(default=None)

    async def ask(
        self,
        route: int,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        path: str = "",
    ) -> Answer:
        """Ask for the route of a transformation."""
        if self._connection is None:
            self._connection = await Connection.open("127.0.0.1", self.port)
        asked = Ask("example.com", f"/{route}/{path}", method, headers or {}, body=body)
        answer = await self._connection.ask(asked)
        if answer.header("connection") == "close":
            self._connection = None
        return answer


def judged(block: Block) -> Effect:
    """The effect of a block that the model takes."""
    Transformation.model_validate_json(json.dumps(block))
    made = effect(None, None, block)  # type: ignore[arg-type]
    assert isinstance(made, Effect)
    return made


def _address(port: int) -> Address:
    return construct(Address, socket_address=construct(SocketAddress, address="127.0.0.1", port_value=port))


def _bootstrap(port: int, upstream: int, blocks: Sequence[Block], around: Block | None) -> Bootstrap:
    routes = [
        construct(
            Route,
            match=construct(RouteMatch, prefix=f"/{number}/"),
            route=construct(RouteAction, cluster="mirror"),
            typed_per_filter_config=dict(judged(block).configs),
        )
        for number, block in enumerate(blocks)
    ]
    outer = dict(judged(around).configs) if around is not None else {}
    host = construct(VirtualHost, name="all", domains=["*"], routes=routes, typed_per_filter_config=outer)
    router = http_filter("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", Router())
    manager = construct(
        HttpConnectionManager,
        stat_prefix="http",
        route_config=construct(
            RouteConfiguration, name="all", virtual_hosts=[host], typed_per_filter_config=dict(AROUND)
        ),
        http_filters=[*STANDING, router],
        upgrade_configs=[construct(HttpConnectionManagerUpgradeConfig, upgrade_type="websocket")],
    )
    chain = construct(FilterChain, filters=[construct(Filter, name="http", typed_config=packed(_MANAGER, manager))])
    endpoint = construct(LbEndpoint, endpoint=construct(Endpoint, address=_address(upstream)))
    assignment = construct(
        ClusterLoadAssignment,
        cluster_name="mirror",
        endpoints=[construct(LocalityLbEndpoints, lb_endpoints=[endpoint])],
    )
    cluster = construct(Cluster, name="mirror", type=ClusterDiscoveryType.STATIC, load_assignment=assignment)
    listener = construct(Listener, name="l", address=_address(port), filter_chains=[chain])
    return construct(
        Bootstrap, static_resources=construct(BootstrapStaticResources, listeners=[listener], clusters=[cluster])
    )


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        found: int = one.getsockname()[1]
        return found


@asynccontextmanager
async def rendering(blocks: Sequence[Block], around: Block | None = None) -> AsyncIterator[Site]:
    """Run it; `around` is the transformation of the virtual host."""
    port = _free()
    with tempfile.TemporaryDirectory(prefix="rendering-") as folder:
        config, log = Path(folder) / "envoy.pb", Path(folder) / "log"
        async with mirror() as upstream:
            config.write_bytes(encode(_bootstrap(port, upstream, blocks, around)))
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    str(envoy_binary(None)), "-c", str(config), "--concurrency", "1", "-l", "warn",
                    "--component-log-level", "lua:info", "--disable-hot-restart", stdout=output, stderr=output,
                    env={**os.environ, "POD_NAME": "gw-1"},
                )  # fmt: skip
            try:
                await _listening(process, port, log)
                yield Site(port, log, process.pid)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(_SECONDS):
        while True:
            assert process.returncode is None, log.read_text()  # noqa: ASYNC240  it ends the test
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.05)
