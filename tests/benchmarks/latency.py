"""A route's file is renamed into place -> the first 200 from Envoy, with the time split by stage.

Beside it, on the same broker in the same run, what two hops of Kafka take without penstock: no change can be faster.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import tempfile
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from streams.kafka import KafkaLog
from streams.main import kafka_log
from streams.ports import Outgoing
from streams.settings import Settings
from streams.topics import OUTPUTS, Topic
from tests.benchmarks.control_plane import ControlPlane, ask, running, until
from tests.benchmarks.world import hostname, percentile
from tests.support.manifests import route

_SAMPLES = 40
_STAGES = ("append", "resolve", "publish", "envoy")
_HOPS = ((Topic.CHANGES,), OUTPUTS)
"""What a change is written to, one transaction after the other, before the publisher hears of it."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802  the library's word
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def _updated(plane: ControlPlane) -> float:
    """When Envoy's main thread took its latest routes, in seconds since 1970."""
    dump = plane.admin("/config_dump?resource=dynamic_route_configs&mask=last_updated")
    texts = [one["last_updated"] for one in dump["configs"] if "last_updated" in one]
    return max(datetime.fromisoformat(text).timestamp() for text in texts)


def _sample(plane: ControlPlane, number: int, *, one_host: bool) -> tuple[float, float, float]:
    """Seconds since 1970: the rename, Envoy's update, the first 200."""
    host = "one.example.com" if one_host else f"new-{number}.example.com"
    path = f"/new-{number}"
    one = dict(route(f"new-{number}", "s0", path, hostnames=[host]).object)
    connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=10)
    plane.write(f"new-{number}.json", one)
    began = time.time()
    until(lambda: ask(connection, host, path) == 200, 60)
    served = time.time()
    connection.close()
    return began, _updated(plane), served


async def _logged(plane: ControlPlane) -> tuple[dict[str, tuple[int, float]], dict[int, float]]:
    """By route name: offset and time of its change set; by offset: time of its fragments. Seconds since 1970."""
    log = kafka_log(Settings(data=plane.data))
    appended: dict[str, tuple[int, float]] = {}
    async for records in log.read(Topic.CHANGES, 0):
        for one in records:
            text = (one.value or b"").decode()
            for number in range(_SAMPLES):
                if f'"new-{number}"' in text:
                    appended.setdefault(f"new-{number}", (one.offset, one.timestamp / 1e3))
    resolved: dict[int, float] = {}
    async for records in log.read(Topic.XDS, 0):
        for one in records:
            resolved.setdefault(int(one.header("offset", "-1")), one.timestamp / 1e3)
    return appended, resolved


async def _hop(log: KafkaLog, topics: tuple[Topic, ...]) -> float:
    """Median time from a bare transaction's begin until a reader of its last topic has it, in milliseconds."""
    seen: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def follow(start: int) -> None:
        async for records in log.follow(topics[-1], 0, start):
            for one in records:
                seen.put_nowait(one.key)

    times = []
    async with asyncio.TaskGroup() as tasks, log.writer("hop") as writer:
        follower = tasks.create_task(follow((await log.ends(topics[-1], 0))[1]))
        for number in range(-5, _SAMPLES):  # The first find the reader not yet there.
            began = time.perf_counter()
            await writer.write(Outgoing(topic, 0, str(number).encode(), bytes(500)) for topic in topics)
            await seen.get()
            times += [1e3 * (time.perf_counter() - began)] if number >= 0 else []
        follower.cancel()
    return percentile(times, 0.5)


async def _hops(brokers: str) -> float:
    """What the two transactions of a change take at least, in milliseconds."""
    log = KafkaLog(brokers, "bench")
    await log.create_topics()
    return sum([await _hop(log, topics) for topics in _HOPS])


def _measure(routes: int, backend: int, *, one_host: bool) -> dict[str, float]:
    name = f"latency_ms.{routes}{'_one_host' if one_host else ''}"
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with running(directory, routes, backend, one_host=one_host) as plane:
            last = routes - 1
            host, path = ("one.example.com", f"/r{last}") if one_host else (hostname(last), "/v1")
            began = time.monotonic()
            until(lambda: _serves(plane, host, path))
            started = time.monotonic() - began
            samples = [_sample(plane, number, one_host=one_host) for number in range(_SAMPLES)]
            found = {f"{name}.start_s": started, f"{name}.memory_mib": plane.memory_mib()}
            appended, resolved = asyncio.run(_logged(plane))
            table = plane.table_ms()
            hops = asyncio.run(_hops(kafka_log(Settings(data=plane.data)).brokers))
    finally:
        shutil.rmtree(directory)
    stages: dict[str, list[float]] = {stage: [] for stage in _STAGES}
    for number, (written, updated, served) in enumerate(samples):
        offset, logged = appended[f"new-{number}"]
        times = (written, logged, resolved[offset], updated, served)
        for stage, before, after in zip(_STAGES, times, times[1:], strict=False):
            stages[stage].append(1e3 * (after - before))
    whole = [1e3 * (served - written) for written, _, served in samples]
    found |= {f"{name}.p50": percentile(whole, 0.5), f"{name}.p99": percentile(whole, 0.99)}
    found |= {f"{name}.{stage}_p50": percentile(values, 0.5) for stage, values in stages.items()}
    # Envoy's clock stands behind its rebuild of the table: that part of publishing is told apart.
    found[f"{name}.publish_p50"] -= table
    found |= {f"{name}.table_p50": table, f"{name}.hops_p50": hops}
    return found | {f"{name}.ratio": found[f"{name}.p50"] / (hops + table)}


def _memory(directory: Path, backend: int) -> dict[str, float]:
    routes = 10_000
    began = time.monotonic()
    with running(directory, routes, backend, one_host=False) as plane:
        until(lambda: _serves(plane, hostname(routes - 1), "/v1"))
        return {"rss_mib.10000": plane.memory_mib(), "start_s.10000": time.monotonic() - began}


def _serves(plane: ControlPlane, host: str, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=10)
    try:
        return ask(connection, host, path) == 200
    except (OSError, http.client.HTTPException):
        time.sleep(0.05)
        return False
    finally:
        connection.close()


def run() -> dict[str, float]:
    """Keys and values for bench.json."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found: dict[str, float] = {}
        for routes, one_host in ((10, False), (1000, False), (1000, True), (5000, False)):
            found |= _measure(routes, server.server_address[1], one_host=one_host)
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            found |= _memory(Path(name), server.server_address[1])
        return found
    finally:
        server.shutdown()
        server.server_close()
