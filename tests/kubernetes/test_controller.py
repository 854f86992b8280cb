"""`penstock controller` as people use it: a real API server gets its class, statuses and proxies, by RBAC's leave."""

from __future__ import annotations

import asyncio
import os
import signal
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.status.features import FEATURES
from streams.xds.messages import CLUSTER, Node, Request, encode_request
from tests.e2e.site import GATEWAY, route
from tests.kubernetes.authorized import AuthorizingServer
from tests.kubernetes.bed.api import Api
from tests.kubernetes.test_served import applied
from tests.support.running import START_SECONDS, Running, free_port, pid_of, processes, tidy, until
from tests.telemetry.asked import readiness

pytestmark = [pytest.mark.kubernetes, pytest.mark.kafka]
_API = "/apis/gateway.networking.k8s.io/v1"
_ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_CLASS = f"{_API}/gatewayclasses/penstock"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/penstock-system/leases"
_HTTPS = GATEWAY.replace(
    "protocol: HTTP", "protocol: HTTPS, hostname: a.example, tls: {{certificateRefs: [{{name: none}}]}}"
)
_ROLES = ("watch", "resolve", "project", "publish", "write-status", "deploy", r"kafka\.Kafka")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizingServer]:
    found = AuthorizingServer(tmp_path_factory.mktemp("authorizing"), "penstock-system", "penstock")

    async def start() -> None:
        await found.start()
        async with Api(found) as api:
            await api.ready()
            await api.install()
            await found.grant(api)

    try:
        asyncio.run(start())
        yield found
    finally:
        asyncio.run(found.stop())


def called(server: AuthorizingServer, method: str, path: str) -> Mapping[str, Any]:
    """The answer; empty for what is not there."""

    async def call() -> Any:
        async with Api(server) as api:
            try:
                return await api.call(method, path)
            except AssertionError:
                return {}

    found: Mapping[str, Any] = asyncio.run(call())
    return found


def answered(server: AuthorizingServer, address: str, shown: str, asked: str) -> grpc.StatusCode:
    """What a proxy with the identity deployed for one Gateway, or with none, hears when it asks for one's config."""
    trusted = called(server, "GET", of("configmaps", "gw", "/api/v1"))["data"]["ca.crt"].encode()
    files = called(server, "GET", of("secrets", f"{shown}-xds", "/api/v1"))["data"] if shown else {}
    pair = [b64decode(files[one]) if files else None for one in ("tls.key", "tls.crt")]
    credentials = grpc.ssl_channel_credentials(trusted, *pair)
    request = Request(CLUSTER, Node("p", f"east/gateway.networking.k8s.io/Gateway/default/{asked}", "1.40.0"))

    async def ask() -> grpc.StatusCode:
        options = [("grpc.ssl_target_name_override", "xds.penstock"), ("grpc.enable_retries", 0)]
        async with asyncio.timeout(240), grpc.aio.secure_channel(address, credentials, options) as channel:
            call = channel.stream_stream(_ADS)()
            try:
                await call.write(encode_request(request))
                return grpc.StatusCode.OK if await call.read() is not grpc.aio.EOF else await call.code()
            except grpc.aio.AioRpcError as error:
                return error.code()

    return asyncio.run(ask())


def of(kind: str, name: str, root: str = _API) -> str:
    """The path of an object in namespace default."""
    return f"{root}/namespaces/default/{kind}/{name}"


def conditions(server: AuthorizingServer, path: str) -> dict[str, str]:
    """Type -> reason of what stands in a status, its parents and its listeners; empty when it is not there."""
    status = called(server, "GET", path).get("status") or {}
    owners = [*(status.get("listeners") or ()), *(status.get("parents") or ()), status]
    return {one["type"]: one["reason"] for owner in owners for one in owner.get("conditions") or ()}


def started(server: AuthorizingServer, tmp_path: Path, address: str, health: int) -> Running:
    return Running(
        "--cluster", "east", "--kubeconfig", str(server.restricted()), "--data", str(tmp_path / "data"), "--plain",
        command="controller", out=tmp_path / "out",
        env={
            "PENSTOCK_XDS_ADDRESS": address, "PENSTOCK_XDS_LISTEN": address, "HERE": str(tmp_path),
            "PENSTOCK_LEASE_NAMESPACE": "penstock-system", "PENSTOCK_HEALTH_LISTEN": f"127.0.0.1:{health}",
        },
    )  # fmt: skip


def test_a_cluster_gets_its_class_its_statuses_and_its_proxies(server: AuthorizingServer, tmp_path: Path) -> None:
    deployment = of("deployments", "gw", "/apis/apps/v1")
    health = free_port()
    with tidy(tmp_path):
        address = f"127.0.0.1:{free_port()}"
        run = started(server, tmp_path, address, health)
        until(lambda: conditions(server, _CLASS).get("Accepted") == "Accepted", START_SECONDS, run.text)
        until(lambda: readiness(health)[0] == 200, says=lambda: f"{readiness(health)} {run.text()}")
        roles = readiness(health)[1]["roles"]
        led = {name for name, one in roles.items() if one.get("active")}
        assert led == {"watch", "resolve", "write-status", "deploy"}, roles
        found = called(server, "GET", _CLASS)["status"]["supportedFeatures"]
        assert [one["name"] for one in found] == list(FEATURES)
        applied(server, GATEWAY.format(name="gw", port=80), _HTTPS.format(name="gw2", port=443), route("one"))
        until(lambda: conditions(server, of("gateways", "gw")).get("Accepted") == "Accepted", says=run.text)
        wanted = {"Accepted": "Accepted", "ResolvedRefs": "BackendNotFound"}
        until(lambda: conditions(server, of("httproutes", "r")) == wanted, says=run.text)
        # Pending until the watcher has asked for the Secret, and was let.
        secret = of("gateways", "gw2")
        until(lambda: conditions(server, secret).get("ResolvedRefs") == "InvalidCertificateRef", says=run.text)
        until(lambda: called(server, "GET", of("secrets", "gw-xds", "/api/v1")), says=run.text)
        until(lambda: answered(server, address, "gw", "gw") is grpc.StatusCode.OK, says=run.text)
        assert answered(server, address, "gw", "gw2") is grpc.StatusCode.PERMISSION_DENIED
        assert answered(server, address, "", "gw") is grpc.StatusCode.UNAVAILABLE
        _gone_with_its_gateway(server, run)
        _whose_name_is_taken(server, run)
        until(lambda: called(server, "GET", deployment), says=run.text)
        # What a Gateway in Kubernetes is waiting for, and no local one: nobody gives its Service an address here.
        assert conditions(server, of("gateways", "gw"))["Programmed"] == "AddressNotAssigned"
        running = {role: pid_of(tmp_path, rf"{role}( |$)") for role in _ROLES}
        assert all(running.values()), running
        os.kill(running["deploy"], signal.SIGKILL)
        until(lambda: pid_of(tmp_path, "cli deploy") not in (0, running["deploy"]), says=run.text)
        held = [one["spec"]["holderIdentity"] for one in called(server, "GET", _LEASES)["items"]]
        assert len(held) == 3, held
        assert run.ends(signal.SIGTERM) == 0
        assert processes(tmp_path) == {}
        assert "everything has ended" in run.text()
        assert "forbidden" not in run.text().lower(), run.text()
        assert called(server, "GET", deployment), "proxies serve on"


def _whose_name_is_taken(server: AuthorizingServer, run: Running) -> None:
    """By an app: its Service goes on, and the Gateway says why it cannot be; once the app has gone, it is deployed."""
    service = of("services", "taken", "/api/v1")
    theirs = "apiVersion: v1\nkind: Service\nmetadata: {name: taken}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n"
    applied(server, theirs, GATEWAY.format(name="taken", port=80))
    until(lambda: conditions(server, of("gateways", "taken")).get("Programmed") == "NoResources", says=run.text)
    found = called(server, "GET", of("gateways", "taken"))["status"]["conditions"]
    assert "Service default/taken" in next(one["message"] for one in found if one["type"] == "Programmed")
    assert called(server, "GET", service)["spec"]["selector"] == {"app": "a"}
    called(server, "DELETE", service)
    until(lambda: conditions(server, of("gateways", "taken")).get("Programmed") == "AddressNotAssigned", says=run.text)


def _gone_with_its_gateway(server: AuthorizingServer, run: Running) -> None:
    """What the deployer made it may take away."""
    deployment = of("deployments", "gw2", "/apis/apps/v1")
    until(lambda: called(server, "GET", deployment), says=run.text)
    called(server, "DELETE", of("gateways", "gw2"))
    until(lambda: not called(server, "GET", deployment), says=run.text)
