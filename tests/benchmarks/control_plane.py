"""A `penstock run` for a benchmark: a directory of manifests, real broker, real Envoy, one real backend."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.world import world
from tests.support.running import free_port, tidy

_FILE = 500
"""Routes a file."""
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A run in progress. `manifests` is the directory it watches, `port` the listener's."""

    manifests: Path
    data: Path
    port: int

    def write(self, name: str, *objects: Any) -> None:
        """Write a manifest whole."""
        hidden = self.manifests / f".{name}"
        hidden.write_text("\n---\n".join(json.dumps(dict(one)) for one in objects))
        hidden.rename(self.manifests / name)

    def admin(self, path: str) -> Any:
        """Envoy's admin page as JSON."""
        address = next(self.data.rglob("admin")).read_text().strip()
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    def table_ms(self) -> float:
        """Median time in which Envoy's main thread took a route configuration, as Envoy itself measures it."""
        # Envoy computes it anew every few seconds.
        until(lambda: self._table() is not None, 30)
        return float(self._table() or 0)

    def _table(self) -> float | None:
        found = self.admin("/stats?filter=%5C.rds%5C..*update_duration&format=json")
        histograms = next(one["histograms"] for one in found["stats"] if "histograms" in one)
        median = histograms["computed_quantiles"][0]["values"][histograms["supported_quantiles"].index(50)]
        return median["cumulative"]  # type: ignore[no-any-return]

    def memory_mib(self) -> float:
        """Memory of penstock's own processes, shared pages once (PSS): neither the broker nor Envoy."""
        total = 0
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
                if b"streams.cli" in words and str(self.data).encode() in words:
                    total += int((path / "smaps_rollup").read_text().split("Pss:")[1].split()[0])
            except OSError:
                continue
        return total / 1024


def ask(connection: http.client.HTTPConnection, host: str, path: str) -> int:
    """The status of one request."""
    connection.request("GET", path, headers={"host": host})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def until(question: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    """Ask until it is so; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            msg = f"not within {seconds:.0f} s"
            raise TimeoutError(msg)
        time.sleep(0.001)


@contextmanager
def running(directory: Path, routes: int, backend: int, *, one_host: bool) -> Iterator[ControlPlane]:
    """A control plane that serves so many routes, each of them answered by the backend's port."""
    plane = ControlPlane(directory / "manifests", directory / "data", free_port())
    plane.manifests.mkdir(parents=True)
    objects = [json.loads(json.dumps(one.object)) for one in world(routes)]
    objects[0]["spec"]["listeners"][0]["port"] = plane.port
    for one in objects:
        if one["kind"] == "EndpointSlice":
            one["ports"][0]["port"] = backend
        if one["kind"] == "HTTPRoute" and one_host:
            one["spec"]["hostnames"] = ["one.example.com"]
            one["spec"]["rules"][0]["matches"][0]["path"]["value"] = f"/{one['metadata']['name']}"
    for first in range(0, len(objects), _FILE * 3):
        plane.write(f"world-{first:06d}.yaml", *objects[first : first + _FILE * 3])
    words = [sys.executable, "-m", "streams.cli", "run", str(plane.manifests), "--data", str(plane.data), "--plain"]
    with tidy(plane.data), (directory / "out").open("ab") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
        yield plane
        process.send_signal(signal.SIGINT)
        process.wait(60)
