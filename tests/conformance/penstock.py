"""penstock as a Kubernetes installation has it: Kafka, and every role a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.broker import Broker
from streams.kafka import KafkaLog
from tests.conformance.network import NODE

_PORT = 9977
_STOP_SECONDS = 20.0
_CLUSTER = "local"
_ROLES = ("resolve", "project", "publish", "watch", "write-status", "deploy")
_OF_CLUSTER = frozenset({"watch", "write-status", "deploy"})


class EndedError(RuntimeError):
    """A role has ended by itself; the message has its last words."""


class Roles:
    """The processes; their logs are `ROLE.log` in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, kubeconfig: Path) -> None:
        """Start all of them."""
        environment = {
            **os.environ,
            "PENSTOCK_DATA": str(self._folder / "data"),
            "PENSTOCK_PROXIES": "kubernetes",
            "PENSTOCK_XDS_LISTEN": f"0.0.0.0:{_PORT}",
            "PENSTOCK_XDS_ADDRESS": f"{NODE}:{_PORT}",
            # A role ends with this process, however that ends.
            "PENSTOCK_PARENT": str(os.getpid()),
        }
        for role in _ROLES:
            words = ("--cluster", _CLUSTER, "--kubeconfig", str(kubeconfig)) if role in _OF_CLUSTER else ()
            with self._log(role).open("ab") as log:
                self._processes[role] = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "streams.cli", role, *words,
                    env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip

    async def ended(self) -> None:
        """Wait until one of them ends, which none should. Raises EndedError."""
        waiting = {asyncio.create_task(process.wait()): role for role, process in self._processes.items()}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        role = waiting[done.pop()]
        tail = self._log(role).read_text(errors="replace")[-2000:]
        msg = f"penstock {role} ended with {self._processes[role].returncode}:\n{tail}"
        raise EndedError(msg)

    async def stop(self) -> None:
        """End those that live; one that takes too long is killed."""
        living = [process for process in self._processes.values() if process.returncode is None]
        for process in living:
            process.terminate()
        await asyncio.gather(*(_ended(process) for process in living))

    def _log(self, role: str) -> Path:
        return self._folder / f"{role}.log"


@asynccontextmanager
async def penstock(folder: Path, kubeconfig: Path) -> AsyncIterator[Roles]:
    """Run all of it. Raises BrokerError or JarsMissing."""
    broker, roles = Broker(folder / "data" / "broker"), Roles(folder)
    try:
        await KafkaLog(await broker.start()).create_topics()
        await roles.start(kubeconfig)
        yield roles
    finally:
        await roles.stop()
        await broker.stop()


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
