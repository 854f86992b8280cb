"""`penstock controller` as people use it: one process to start, and a real API server gets its class, statuses and proxies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.status.features import FEATURES
from tests.e2e.site import GATEWAY, route
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.test_served import applied, emptied
from tests.support.running import START_SECONDS, Running, free_port, pid_of, processes, tidy, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.kafka, pytest.mark.timeout(300)]
_CLASS = "/apis/gateway.networking.k8s.io/v1/gatewayclasses/penstock"
_GATEWAY = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/gw"
_ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/r"
_DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/gw"
_ROLES = ("watch", "resolve", "project", "publish", "write-status", "deploy", r"kafka\.Kafka")


def conditions(server: ApiServerProcess, path: str) -> dict[str, str]:
    """Type -> reason of what stands in an object's status, of a route's in its parents; empty when it is not there."""
    status = _called(server, "GET", path).get("status") or {}
    owners = status.get("parents") or [status]
    return {one["type"]: one["reason"] for owner in owners for one in owner.get("conditions") or ()}


def _called(server: ApiServerProcess, method: str, path: str) -> Mapping[str, Any]:
    """The answer; empty for what is not there."""

    async def call() -> Any:
        async with Api(server) as api:
            try:
                return await api.call(method, path)
            except AssertionError:
                return {}

    found: Mapping[str, Any] = asyncio.run(call())
    return found


@contextmanager
def cleared(server: ApiServerProcess) -> Iterator[None]:
    """What was made in the cluster is taken away again: other tests share it, and it has no garbage collector."""
    try:
        yield
    finally:
        core = [f"/api/v1/namespaces/default/{kind}/gw" for kind in ("services", "serviceaccounts", "configmaps")]
        for path in (_CLASS, _DEPLOYMENT, *core):
            _called(server, "DELETE", path)


def test_a_cluster_gets_its_class_its_statuses_and_its_proxies(api_server: ApiServerProcess, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with tidy(tmp_path), emptied(api_server), cleared(api_server):
        run = Running(
            "--cluster", "east", "--kubeconfig", str(api_server.kubeconfig(api_server.port)),
            "--data", str(tmp_path / "data"), "--plain",
            command="controller", out=tmp_path / "out",
            env={"PENSTOCK_XDS_ADDRESS": address, "PENSTOCK_XDS_LISTEN": address, "HERE": str(tmp_path)},
        )  # fmt: skip
        until(lambda: conditions(api_server, _CLASS).get("Accepted") == "Accepted", START_SECONDS, run.text)
        features = [one["name"] for one in _called(api_server, "GET", _CLASS)["status"]["supportedFeatures"]]
        assert features == list(FEATURES)
        applied(api_server, GATEWAY.format(name="gw", port=80), route("one"))
        until(lambda: conditions(api_server, _GATEWAY).get("Accepted") == "Accepted", says=run.text)
        until(lambda: conditions(api_server, _ROUTE) == {"Accepted": "Accepted", "ResolvedRefs": "BackendNotFound"}, says=run.text)
        until(lambda: _called(api_server, "GET", _DEPLOYMENT), says=run.text)
        # Nobody runs its pods here, so no proxy acknowledges anything.
        assert conditions(api_server, _GATEWAY)["Programmed"] != "Programmed"
        running = {role: pid_of(tmp_path, rf"{role}( |$)") for role in _ROLES}
        assert all(running.values()), running
        os.kill(running["write-status"], signal.SIGKILL)
        applied(api_server, GATEWAY.format(name="gw2", port=80))
        until(lambda: conditions(api_server, _GATEWAY + "2").get("Accepted") == "Accepted", says=run.text)
        assert run.ends(signal.SIGTERM) == 0
        assert processes(tmp_path) == {}
        assert "everything has ended" in run.text()
        assert _called(api_server, "GET", _DEPLOYMENT), "proxies serve on"
