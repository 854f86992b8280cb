"""A pod: a network namespace, its containers as processes, their logs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.conformance.binaries import binary
from tests.conformance.network import API_SERVER, NODE, Network
from tests.conformance.node.client import Client, complain
from tests.conformance.node.volumes import account, environment, expanded, mounts, write_volumes

_SHELL = Path(__file__).with_name("pod.sh")
_NAMESERVER = Path(__file__).with_name("nameserver.py")
_SOURCE = Path(__file__).parents[3]
_READY_SECONDS = 30.0
_LOG_LINES = 50_000
_LINE_BYTES = 1 << 20
_ECHO_PORT = 3000
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "GOMAXPROCS": "2",
    "KUBERNETES_SERVICE_HOST": API_SERVER, "KUBERNETES_SERVICE_PORT": "443",
}  # fmt: skip


class Place(NamedTuple):
    """Where pods run; `names` are lines of their hosts files."""

    client: Client
    network: Network
    envoy: Path
    names: tuple[str, ...]


class Program(NamedTuple):
    """What an image stands for: the command, and files of ours that it needs, as `SOURCE TARGET`."""

    words: tuple[str, ...]
    files: tuple[str, ...]


def program(image: str, envoy: Path) -> Program | None:
    """What runs in the place of an image; None: nothing does."""
    if "echo-basic" in image:
        return Program(("/bed/echo",), (f"{binary('echo-basic')} /bed/echo",))
    if "coredns" in image:
        python = Path(sys.executable).resolve()
        return Program((str(python), "-ISu", "/bed/nameserver.py"), (*python_mounts(), f"{_NAMESERVER} /bed/nameserver.py"))
    if "envoyproxy/envoy" in image:
        return Program(("/bed/envoy",), (f"{envoy} /bed/envoy",))
    if image.startswith("penstock:"):
        words = ("/usr/bin/env", f"PYTHONPATH={_SOURCE}", sys.executable, "-m", "streams.cli")
        return Program(words, tuple(python_mounts(_SOURCE)))
    return None


def python_mounts(*more: Path) -> list[str]:
    """Folders that Python and its packages are in, as mounts, but for those that every pod sees."""
    found = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), *more}
    seen = {Path("/usr"), *found}
    return [f"{one} {one}" for one in sorted(found) if one != Path("/usr") and not seen & set(one.parents)]


@dataclass(slots=True)
class Pod:
    """`object` is the pod as the API server has it; `address` is empty until its network is there."""

    number: int
    object: Any
    folder: Path
    address: str = ""
    is_ready: bool = False
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    logs: dict[str, deque[tuple[float, bytes]]] = field(default_factory=dict)
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its path at the API server."""
        metadata = self.object["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    @property
    def containers(self) -> list[Any]:
        """Its containers."""
        return list(self.object["spec"]["containers"])


async def start(pod: Pod, place: Place) -> bool:
    """Start it, and say so when it is ready; False while a volume is missing: nothing was done."""
    volumes = await write_volumes(place.client, pod.object, pod.folder)
    known = await account(place.client, pod.object, pod.folder)
    if volumes is None or known is None:
        return False
    pod.address = await asyncio.to_thread(place.network.add_pod, pod.number)
    for container in pod.containers:
        if (found := program(container["image"], place.envoy)) is not None:
            files = (*mounts(container, volumes), *known, *found.files)
            folder = _folder(pod, container, files, place.names)
            await _run(pod, container, found.words, folder, place.network.pod_name(pod.number))
    await _ready(pod, place.client)
    if (object_ := await place.client.set_status(pod.path, _running(pod))) is not None:
        pod.object, pod.is_ready = object_, True
    return True


async def stop(pod: Pod, network: Network) -> None:
    """Kill its processes, and remove its network."""
    for process in pod.processes.values():
        if process.returncode is None:
            # Its own session: a helper of it that is left ends too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    await asyncio.gather(*pod.readers, return_exceptions=True)
    await asyncio.to_thread(network.remove_pod, pod.number)


def _folder(pod: Pod, container: Any, files: tuple[str, ...], names: tuple[str, ...]) -> Path:
    """What the shell needs to know of a container."""
    folder = pod.folder / "containers" / container["name"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mounts").write_text("".join(f"{line}\n" for line in files))
    (folder / "hosts").write_text("".join(f"{line}\n" for line in ("127.0.0.1 localhost", *names)))
    return folder


async def _run(pod: Pod, container: Any, words: tuple[str, ...], folder: Path, namespace: str) -> None:
    name = container["name"]
    variables = environment(pod.object, container, pod.address)
    arguments = [expanded(one, variables) for one in container.get("args") or ()]
    process = pod.processes[name] = await asyncio.create_subprocess_exec(
        "ip", "netns", "exec", namespace, "sh", str(_SHELL), str(folder), *words, *arguments,
        env={**_ENVIRONMENT, **variables},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        limit=_LINE_BYTES, start_new_session=True,
    )  # fmt: skip
    lines = pod.logs[name] = deque(maxlen=_LOG_LINES)
    pod.readers.append(asyncio.create_task(_read(process, lines, folder / "log")))


async def _read(process: asyncio.subprocess.Process, lines: deque[tuple[float, bytes]], path: Path) -> None:
    assert process.stdout is not None
    with path.open("ab", buffering=0) as file:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than a line may be
                continue
            if not line:
                return
            lines.append((time.time(), line))
            file.write(line)


def _probes(pod: Pod) -> Iterator[tuple[int, str]]:
    """Ports to wait for, with the path to ask, or an empty one where being open is enough."""
    for container in pod.containers:
        probe = container.get("readinessProbe") or {}
        names = {one["name"] for one in container.get("env") or ()}
        if container["name"] not in pod.processes:
            continue
        if asked := probe.get("httpGet") or probe.get("tcpSocket"):
            yield port(container, asked["port"]), asked.get("path", "/") if "httpGet" in probe else ""
        elif "echo-basic" in container["image"] and "UDP_ECHO_SERVER" not in names:
            yield _ECHO_PORT, ""


def port(container: Any, asked: int | str) -> int:
    """The port that a probe asks for by its number, or by the name that the container gives it."""
    named = {one.get("name"): int(one["containerPort"]) for one in container.get("ports") or ()}
    return asked if isinstance(asked, int) else named[asked]


async def _ready(pod: Pod, client: Client) -> None:
    until = time.monotonic() + _READY_SECONDS
    for port, path in _probes(pod):
        while not await _answers(client, pod.address, port, path):
            if time.monotonic() > until:
                complain(f"{pod.path} is not ready after {_READY_SECONDS:.0f} s: see {pod.folder}")
                return
            await asyncio.sleep(0.05)


async def _answers(client: Client, address: str, port: int, path: str) -> bool:
    try:
        if path:
            async with client.session.get(
                f"http://{address}:{port}{path}", timeout=aiohttp.ClientTimeout(total=1)
            ) as answer:
                return answer.status < 400
        _, writer = await asyncio.open_connection(address, port)
        writer.close()
    except (aiohttp.ClientError, OSError):  # TimeoutError is one
        return False
    return True


def _running(pod: Pod) -> dict[str, Any]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "phase": "Running", "podIP": pod.address, "podIPs": [{"ip": pod.address}], "hostIP": NODE, "startTime": now,
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ],
        "containerStatuses": [
            {
                "name": one["name"], "image": one["image"], "imageID": "local", "ready": True, "started": True,
                "restartCount": 0, "state": {"running": {"startedAt": now}},
            }
            for one in pod.containers
        ],
    }  # fmt: skip
