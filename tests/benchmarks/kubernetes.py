"""`make bench-kubernetes`: what a real API server's changes take until Envoy serves them; a table and bench-kubernetes.json.

A route is created at the API server -> the first 200 from Envoy, beside 1, 1,000 and 5,000 routes. Times at a size are told
as a ratio to those beside one route, measured in the same run: that is what the number of routes costs.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.kubernetes.client import connect
from streams.kubernetes.cluster import Target, Verb
from tests.benchmarks.latency import _Answer
from tests.benchmarks.world import percentile
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess
from tests.support.running import free_port, tidy

_SIZES = (1, 1_000, 5_000)
_ATTACHED = 1_000
_SAMPLES = 40
_AT_ONCE = 50
_PATIENCE_SECONDS = 600.0
_API = "gateway.networking.k8s.io"
_GATEWAY = Target(_API, "Gateway", "gateways", "v1", "default", "gw")


def _object(version: str, kind: str, name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"namespace": "default", "name": name}, "spec": spec}


def _route(name: str) -> dict[str, Any]:
    """On a hostname of its own, to the one backend."""
    to = {"group": "gateway.kgateway.dev", "kind": "Backend", "name": "be"}
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": [f"{name}.example.com"], "rules": [{"backendRefs": [to]}]}
    return _object(f"{_API}/v1", "HTTPRoute", name, spec)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


@dataclass(frozen=True, slots=True)
class World:
    """A cluster with one Gateway on `port`, and what acts on it."""

    root: Path
    server: ApiServerProcess
    api: Api
    port: int

    async def put(self, *objects: dict[str, Any]) -> None:
        """Apply them, some at a time."""
        await self._each([self.api.persist(one, "bench") for one in objects])

    async def drop(self, *objects: dict[str, Any]) -> None:
        """Delete them, some at a time."""
        await self._each([self.api.delete(one) for one in objects])

    async def _each(self, works: list[Coroutine[Any, Any, None]]) -> None:
        for first in range(0, len(works), _AT_ONCE):
            await asyncio.gather(*works[first : first + _AT_ONCE])

    def serves(self, name: str) -> bool:
        """Whether a route is answered with 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/", headers={"host": f"{name}.example.com"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @asynccontextmanager
    async def penstock(self) -> AsyncIterator[None]:
        """`penstock run` for log, proxies and all between, and `watch` and `write-status` of the cluster beside it."""
        kubeconfig, data = self.server.kubeconfig(self.server.port), self.root / "data"
        (self.root / "manifests").mkdir(exist_ok=True)
        of_cluster = ("--cluster", "east", "--kubeconfig", str(kubeconfig))
        commands = (
            ("run", str(self.root / "manifests"), "--plain"),
            ("watch", *of_cluster),
            ("write-status", *of_cluster),
        )
        environment = {**os.environ, "PENSTOCK_DATA": str(data)}
        with tidy(data), (self.root / "out").open("ab") as out:
            first, *rest = commands
            processes = [_started(first, out, environment)]
            log = self.root / "data" / "snapshot"
            await _until(lambda: log.exists() or _is_up(data, environment))
            processes += [_started(words, out, environment) for words in rest]
            try:
                yield
            finally:
                for process in reversed(processes):
                    process.terminate()
                for process in processes:
                    await asyncio.to_thread(process.wait, 60)


def _started(words: tuple[str, ...], out: Any, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "streams.cli", *words], stdout=out, stderr=out, env=environment)


def _is_up(data: Path, environment: dict[str, str]) -> bool:
    """Whether the log answers."""
    words = [sys.executable, "-m", "streams.cli", "status", "--data", str(data)]
    return subprocess.run(words, capture_output=True, check=False, env=environment).returncode != 3


async def _until(question: Callable[[], bool], pause: float = 0.001) -> None:
    """Ask, in a thread, until it is so; raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await asyncio.to_thread(question):
            await asyncio.sleep(pause)


@asynccontextmanager
async def _world(backend: int) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        (root / "bed").mkdir()
        server = ApiServerProcess(root / "bed")
        try:
            await server.start()
            async with Api(server) as api:
                await api.ready()
                await api.install()
                world = World(root, server, api, free_port())
                listener = {"name": "http", "port": world.port, "protocol": "HTTP"}
                hosts = [{"host": "127.0.0.1", "port": backend}]
                await world.put(
                    _object(f"{_API}/v1", "Gateway", "gw", {"gatewayClassName": "penstock", "listeners": [listener]}),
                    _object("gateway.kgateway.dev/v1alpha1", "Backend", "be", {"type": "Static", "static": {"hosts": hosts}}),
                )
                yield world
        finally:
            await server.stop()


async def _latency(world: World, size: int) -> dict[str, float]:
    """Creations one after another, each to its first 200, in milliseconds; they are taken away again."""
    times = []
    for number in range(_SAMPLES):
        name = f"new-{size}-{number}"
        began = time.perf_counter()
        await world.put(_route(name))
        await _until(lambda name=name: world.serves(name))  # type: ignore[misc]
        times.append(1e3 * (time.perf_counter() - began))
    await world.drop(*(_route(f"new-{size}-{number}") for number in range(_SAMPLES)))
    await _attached(world, size)
    return {f"latency_ms.{size}.p50": percentile(times, 0.5), f"latency_ms.{size}.p99": percentile(times, 0.99)}


async def _attached(world: World, number: int) -> None:
    """Until the Gateway's status says that so many routes are attached."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            found = await world.api.call("GET", f"/apis/{_API}/v1/namespaces/default/gateways/gw")
            listeners = (found.get("status") or {}).get("listeners") or [{}]
            if listeners[0].get("attachedRoutes") == number:
                return
            await asyncio.sleep(0.02)


async def _attachment(world: World, before: int) -> dict[str, float]:
    """A thousand routes at once, and none: until attachedRoutes says so, and the Gateway's writes that others see."""
    routes = [_route(f"many-{number}") for number in range(_ATTACHED)]
    found: dict[str, float] = {}
    steps = (("setup", world.put, before + _ATTACHED), ("teardown", world.drop, before))
    for step, act, number in steps:
        async with _heard(world) as versions:
            began = time.perf_counter()
            await act(*routes)
            asked = time.perf_counter()
            await _attached(world, number)
            found[f"attached_1000.{step}_s"] = time.perf_counter() - began
            found[f"attached_1000.{step}_api_s"] = asked - began
            found[f"attached_1000.{step}_gateway_writes"] = float(len(versions))
    return found


@asynccontextmanager
async def _heard(world: World) -> AsyncIterator[list[str]]:
    """The versions of the Gateway that somebody sees who watches it while inside."""
    versions: list[str] = []
    async with connect(world.server.kubeconfig(world.server.port)) as cluster:
        page = await cluster.page(_GATEWAY, "", 0)

        async def follow() -> None:
            async for event in cluster.watch(_GATEWAY, page.version):
                versions.extend([str(event.object["metadata"]["resourceVersion"])] * (event.verb is Verb.MODIFIED))

        task = asyncio.create_task(follow())
        try:
            yield versions
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _measured(backend: int, sizes: tuple[int, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    async with _world(backend) as world:
        there = 0
        async with world.penstock():
            for size in sizes:
                _say(f"{size} routes: creating them")
                await world.put(*(_route(f"r{number}") for number in range(there, size)))
                there = size
                await _until(lambda: world.serves(f"r{there - 1}"), 0.05)
                await _attached(world, size)
                _say(f"{size} routes: {_SAMPLES} creations to their first 200")
                found |= await _latency(world, size)
                if size == sizes[0]:
                    _say(f"{_ATTACHED} routes attached at once, and taken away")
                    found |= await _attachment(world, size)
        _say(f"start beside a cluster of {there} routes, and a log without anything")
        fresh = World(world.root / "fresh", world.server, world.api, world.port)
        fresh.root.mkdir()
        began = time.perf_counter()
        async with fresh.penstock():
            await _until(lambda: fresh.serves(f"r{there - 1}") and fresh.serves("r0"), 0.05)
            found[f"start_s.{there}"] = time.perf_counter() - began
    base = found[f"latency_ms.{sizes[0]}.p50"]
    return found | {f"latency_ratio.{size}": found[f"latency_ms.{size}.p50"] / base for size in sizes[1:]}


def main(
    sizes: Annotated[str, typer.Option(help="How many routes there are, ascending.")] = ",".join(map(str, _SIZES)),
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("bench-kubernetes.json"),
) -> None:
    """Print a table and write the figures; progress goes to stderr."""
    backend = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    load = os.getloadavg()[0]
    try:
        figures = asyncio.run(_measured(backend.server_address[1], tuple(int(one) for one in sizes.split(","))))
    finally:
        backend.shutdown()
        backend.server_close()
    figures["conditions.cores"], figures["conditions.load_before"] = float(os.cpu_count() or 0), load
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, f"{value:,.2f}")
    Console().print(table)
    out.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    typer.run(main)
