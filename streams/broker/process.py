"""One Kafka node as a process of its own session: it outlives who started it, and the next run adopts it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streams.broker.jars import class_path, java
from streams.process import Process, locker, noted, recall, remember, running

_LOGGER = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
_JVM = ("-Xmx400m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_LOGGER)
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_NO_SPACE = "No space left"
_TELLING = ("ERROR", "Exception", _NO_SPACE)
_SAID_BYTES = 64 * 1024
_FREE_BYTES = 200 * 1024 * 1024
_FORMATTING = ".format-"


class BrokerError(RuntimeError):
    """The broker does not start or answer; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class _Running:
    process: Process
    port: int


class Broker:
    """The node whose data live in `directory`. `say` receives progress lines; `host` is where it listens."""

    def __init__(self, directory: Path, say: Callable[[str], None] = lambda _: None, host: str = "127.0.0.1") -> None:
        self._directory = directory.absolute()
        self._host = host
        self._say = say
        self._file = self._directory / "broker.json"
        self._process: subprocess.Popen[bytes] | None = None

    def running(self) -> str | None:
        """`host:port` of the node when its process lives."""
        found = self._read()
        return f"{self._host}:{found.port}" if found is not None else None

    def address(self) -> str:
        """`host:port` where the node is or was last; port 1, where nobody answers, when it never ran."""
        try:
            return f"{self._host}:{int(str(noted(self._file)['port']))}"
        except (ValueError, KeyError):
            return f"{self._host}:1"

    def full(self) -> str | None:
        """What is wrong when the disk has too little room for the log, and the remedy; None while there is enough."""
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError:
            return None
        if free >= _FREE_BYTES:
            return None
        return (
            f"{self._directory} has {free >> 20} MiB left; the log needs at least {_FREE_BYTES >> 20} MiB: "
            f"free space on that disk"
        )

    @property
    def pid(self) -> int | None:
        """The node's process, None when it does not live."""
        found = self._read()
        return found.process.pid if found is not None else None

    async def start(self) -> str:
        """Adopt the living node or start one; answers `host:port` once it accepts connections.

        Raises BrokerError (no room, cannot start) or JarsMissing.
        """
        found = self._read()
        if found is None:
            found = await asyncio.to_thread(self._launch)
        deadline = time.monotonic() + _START_SECONDS
        while not _accepts(self._host, found.port):
            if not found.process.alive():
                msg = f"the broker ended while starting:\n{self._last_words()}"
                raise BrokerError(msg)
            if time.monotonic() > deadline:
                msg = f"the broker did not answer within {_START_SECONDS:.0f} s; see {self._directory / 'broker.log'}"
                raise BrokerError(msg)
            await asyncio.sleep(0.05)
        return f"{self._host}:{found.port}"

    def cause(self) -> str:
        """The last line in which the node said what was wrong since it was started; empty when it said nothing."""
        telling = [line.strip().removeprefix("Caused by: ") for line in self._said() if _is_telling(line)]
        # What follows a full disk says less than the disk does.
        return ([line for line in telling if _NO_SPACE in line] or telling or [""])[-1]

    async def stop(self) -> None:
        """End the node's process and wait for it; a node that hangs is killed."""
        found = self._read()
        if found is None:
            return
        await found.process.stop(_STOP_SECONDS)
        if self._process is not None:
            self._process.wait()

    def _launch(self) -> _Running:
        self._directory.mkdir(parents=True, exist_ok=True)
        if (full := self.full()) is not None:
            raise BrokerError(full)
        self._check_unheld()
        self._say("starting Apache Kafka (the first time fetches 44 MB)")
        path = class_path()
        port, controller = self._ports()
        properties = _properties(self._host, port, controller)
        (self._directory / "server.properties").write_text(properties)
        if not (self._directory / "log" / "meta.properties").exists():
            self._format(path, properties)
        with (self._directory / "broker.log").open("ab") as log:
            said = log.tell()
            self._process = child = subprocess.Popen(  # noqa: S603  our own arguments
                [java(), *_JVM, _within(self._directory), "-cp", path, "kafka.Kafka", "server.properties"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env=_environment(),
                start_new_session=True,
            )
        found = _Running(running(child.pid), port)
        remember(self._file, found.process, port=port, said=said)
        return found

    def _ports(self) -> tuple[int, int]:
        # The same port as last time when it is free: clients that wait for the broker find it again.
        port, controller = _free_ports()
        try:
            before = int(str(noted(self._file)["port"]))
        except (ValueError, KeyError):
            return port, controller
        return (before if _free(before) else port), controller

    def _check_unheld(self) -> None:
        """Raises BrokerError while a process that nobody remembers writes the log."""
        pid = locker(self._directory / "log" / ".lock")
        if pid is not None:
            msg = (
                f"{self._directory / 'log'} is held by process {pid}, a broker that {self._file.name} does not name: "
                f"end it (kill {pid}), then start again"
            )
            raise BrokerError(msg)

    def _format(self, path: str, properties: str) -> None:
        """Give the log its identity, elsewhere first: whoever formatted for a start that was killed may still do so."""
        for old in self._directory.glob(f"{_FORMATTING}*"):
            shutil.rmtree(old, ignore_errors=True)
        place = Path(tempfile.mkdtemp(prefix=_FORMATTING, dir=self._directory))
        (place / "server.properties").write_text(properties)
        tool = ["-cp", path, "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "server.properties"]
        done = subprocess.run(  # noqa: S603  our own arguments
            [java(), *_JVM, _within(place), *tool],
            cwd=place,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"the log directory cannot be formatted: {done.stdout[-800:]}{done.stderr[-800:]}"
            raise BrokerError(msg)
        log = self._directory / "log"
        log.mkdir(exist_ok=True)
        # Last the file that says that it is formatted.
        for made in sorted((place / "log").iterdir(), key=lambda one: one.name == "meta.properties"):
            made.replace(log / made.name)
        shutil.rmtree(place, ignore_errors=True)

    def _read(self) -> _Running | None:
        found = recall(self._file)
        try:
            return _Running(found[0], int(str(found[1]["port"]))) if found is not None else None
        except (ValueError, KeyError):
            return None

    def _last_words(self) -> str:
        lines = self._said()
        telling = [line for line in lines if _is_telling(line)]
        return "\n".join((telling or lines)[-6:])

    def _said(self) -> list[str]:
        """The last lines of the node that was started last."""
        try:
            begin = int(str(noted(self._file).get("said", 0)))
            with (self._directory / "broker.log").open("rb") as log:
                log.seek(max(begin, log.seek(0, os.SEEK_END) - _SAID_BYTES))
                return log.read().decode(errors="replace").splitlines()
        except (OSError, ValueError):
            return []


def _within(directory: Path) -> str:
    """Java makes paths whole with the name that the system has for its directory, which may lead nowhere for us."""
    return f"-Duser.dir={directory.absolute()}"


def _is_telling(line: str) -> bool:
    return any(word in line for word in _TELLING) and not line.lstrip().startswith("at ")


def _cluster_id() -> str:
    """A new one; one of 64 would begin with a dash, which the tool takes for an option."""
    while (found := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return found


def _environment() -> dict[str, str]:
    """Ours, in a locale in which Java can say every path."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _properties(host: str, port: int, controller: int) -> str:
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        # Below the working directory: a path of the user's may hold commas, which part a list, and what Java escapes.
        "log.dirs": "log",
        # After a kill the node may come back only when its last session is over: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "log.retention.ms": "-1",
        "message.max.bytes": "16777216",
        "log.cleaner.dedupe.buffer.size": "16777216",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _accepts(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
