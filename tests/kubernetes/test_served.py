"""A cluster's objects become traffic: API server, log, resolver, publisher and Envoy, all real, each a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.site import GATEWAY, Site, answering, route
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess
from tests.support.running import START_SECONDS, tidy, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.kafka, pytest.mark.envoy]
_STATIC = """
apiVersion: gateway.kgateway.dev/v1alpha1
kind: Backend
metadata: {{name: be}}
spec: {{type: Static, static: {{hosts: [{{host: 127.0.0.1, port: {port}}}]}}}}
"""
_TO_IT = "backendRefs: [{group: gateway.kgateway.dev, kind: Backend, name: be}]"


def applied(server: ApiServerProcess, *texts: str) -> None:
    """Apply manifests in namespace default."""

    async def apply() -> None:
        async with Api(server) as api:
            await api.ready()
            for text in texts:
                for one in yaml.safe_load_all(text):
                    await api.apply({**one, "metadata": {"namespace": "default", **one["metadata"]}}, "tests")

    asyncio.run(apply())


@contextmanager
def emptied(server: ApiServerProcess) -> Iterator[None]:
    """Namespace default is as it was afterwards."""

    async def empty() -> None:
        async with Api(server) as api:
            await api.ready()
            await api.empty("default")

    try:
        yield
    finally:
        asyncio.run(empty())


@contextmanager
def watching(site: Site, kubeconfig: Path) -> Iterator[Any]:
    """`penstock watch` on a site's log."""
    words = ["watch", "--cluster", "east", "--kubeconfig", str(kubeconfig)]
    with (site.root / "watch").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *words],
            stdout=out, stderr=out, env={**os.environ, "PENSTOCK_DATA": str(site.data)},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_cluster_is_served_through_a_kill_of_the_watcher(api_server: ApiServerProcess, tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    with answering() as backend, tidy(tmp_path), emptied(api_server):
        site = Site(tmp_path, backend)
        applied(api_server, GATEWAY.format(name="gw", port=site.port), _STATIC.format(port=backend), _route("one"))
        site.start()
        until(lambda: site.call("status").returncode != 3, START_SECONDS, lambda: site.printed)
        kubeconfig = api_server.kubeconfig(api_server.port)
        with watching(site, kubeconfig):
            site.serves("one")
            applied(api_server, _route("two"))
            site.serves("two")
        applied(api_server, _route("three"))
        with watching(site, kubeconfig):
            site.serves("three")
            asyncio.run(api_server.restart())
            applied(api_server, _route("four"))
            site.serves("four")
        assert "tests at 20" in site.call("log").stdout


def _route(header: str) -> str:
    return route(header).replace("backendRefs: [{name: be, port: 80}]", _TO_IT)
