"""The local deployer runs exactly the Envoys that the log asks for, through deaths of Envoys and of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.update import Delta, Update
from streams.codec import encode_update
from streams.memory import MemoryLog
from streams.process import Process, remember, spawn
from streams.sinks.local_envoy import (
    Deployer,
    DeployOptions,
    EnvoyMissing,
    admin_address,
    envoy_binary,
    remembered,
    stop_all,
)

_SECONDS = 240.0
_ONE = "local/gateway.networking.k8s.io/Gateway/default/one"
_TWO = "local/gateway.networking.k8s.io/Gateway/default/two"


@pytest.fixture
async def options(tmp_path: Path) -> AsyncIterator[DeployOptions]:
    found = DeployOptions(
        tmp_path / "proxies", tmp_path / "ads.sock", envoy_binary(None), lambda gateway: f"token of {gateway}"
    )
    yield found
    await stop_all(found.directory)


async def wants(log: MemoryLog, offset: int, wanted: set[str], gone: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    infra = Delta({one: {"gateway": one} for one in wanted}, frozenset(gone))
    async with log.writer("resolver") as writer:
        await writer.write(encode_update("default", 0, Update(offset, "2026-11-24T12:00:00.000Z", infra=infra), {}))


@asynccontextmanager
async def deploying(log: MemoryLog, options: DeployOptions) -> AsyncIterator[Deployer]:
    deployer = Deployer(options)
    task = asyncio.create_task(deployer.follow(log))
    try:
        yield deployer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def pids(options: DeployOptions) -> dict[str, int]:
    return {str(data["gateway"]): process.pid for process, data in remembered(options.directory)}


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not question():
            await asyncio.sleep(0.02)


async def answers(options: DeployOptions, gateway: str) -> dict[str, object]:
    """What the proxy says of itself on its admin page, as soon as it does."""
    async with asyncio.timeout(_SECONDS):
        while True:
            for _, data in remembered(options.directory):
                address = admin_address(data)
                if data["gateway"] == gateway and address is not None:
                    with contextlib.suppress(OSError, ValueError):
                        return await _server_info(address)
            await asyncio.sleep(0.05)


async def _server_info(address: str) -> dict[str, object]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /server_info HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    text = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    found: dict[str, object] = json.loads(text[text.index(b"{") : text.rindex(b"}") + 1])
    return found


async def test_one_envoy_a_gateway_with_its_identity(options: DeployOptions) -> None:
    log = MemoryLog()
    await wants(log, 0, {_ONE, _TWO})
    async with deploying(log, options):
        await until(lambda: pids(options).keys() == {_ONE, _TWO})
        node = (await answers(options, _TWO))["node"]
        assert isinstance(node, dict)
        assert (node["id"], node["metadata"]) == (f"{_TWO}~0", {"gateway": _TWO})
        bootstraps = [path.stat().st_mode & 0o777 for path in options.directory.glob("*/bootstrap.json")]
        assert bootstraps == [0o600, 0o600]
        await wants(log, 1, set(), {_ONE})
        await until(lambda: pids(options).keys() == {_TWO})


async def test_a_record_that_names_no_gateway_is_left_out(options: DeployOptions) -> None:
    """It ended the deployer, at each start."""
    log = MemoryLog()
    await wants(log, 0, {"nonsense", "a/b/c/d\0/e", _ONE})
    async with deploying(log, options) as deployer:
        await until(lambda: pids(options).keys() == {_ONE})
        assert deployer.wanted == {_ONE}
        await wants(log, 1, set(), {"nonsense"})
        await wants(log, 2, set(), {_ONE})
        await until(lambda: not pids(options))


_EAST = "east/gateway.networking.k8s.io/Gateway/default/one"


@pytest.mark.parametrize(
    ("cluster", "wanted"),
    [("", {_EAST, f"{_EAST}@west", _ONE}), ("west", {f"{_EAST}@west"}), ("east", {_EAST}), ("north", set())],
)
async def test_what_is_placed_in_a_cluster_has_an_envoy_there(options: DeployOptions, cluster: str, wanted: set[str]) -> None:
    """Each by a name and an identity of its own, whosever Gateway it is; without a cluster all of them."""
    log = MemoryLog()
    await wants(log, 0, {_EAST, f"{_EAST}@west", _ONE})
    async with deploying(log, replace(options, cluster=cluster)) as deployer:
        await until(lambda: pids(options).keys() == wanted and deployer.wanted == wanted)
        for one in wanted & {f"{_EAST}@west"}:
            node = (await answers(options, one))["node"]
            assert isinstance(node, dict)
            assert (node["id"], node["metadata"]) == (f"{one}~0", {"gateway": one})
        found = [json.loads(path.read_text()) for path in options.directory.glob("*/bootstrap.json")]
        tokens = {_token_of(one) for one in found}
        assert tokens == {f"Bearer token of {one}" for one in wanted}
        await wants(log, 1, set(), {_EAST})
        await until(lambda: pids(options).keys() == wanted - {_EAST})


def _token_of(config: dict[str, Any]) -> str:
    (service,) = config["dynamic_resources"]["ads_config"]["grpc_services"]
    return str(service["initial_metadata"][0]["value"])


async def test_a_dead_envoy_comes_back(options: DeployOptions) -> None:
    log = MemoryLog()
    await wants(log, 0, {_ONE})
    async with deploying(log, options):
        await answers(options, _ONE)
        before = pids(options)[_ONE]
        os.kill(before, signal.SIGKILL)
        await until(lambda: pids(options).get(_ONE, before) != before)
        log.down = True
        before = pids(options)[_ONE]
        os.kill(before, signal.SIGKILL)
        await until(lambda: pids(options).get(_ONE, before) != before)


async def test_the_next_deployer_adopts_what_runs_even_without_the_log(options: DeployOptions) -> None:
    log = MemoryLog()
    await wants(log, 0, {_ONE})
    async with deploying(log, options):
        await answers(options, _ONE)
    before = pids(options)
    assert before
    log.down = True
    async with deploying(log, options) as deployer:
        await until(lambda: deployer.running)
        assert pids(options) == before
        os.kill(before[_ONE], signal.SIGKILL)
        await until(lambda: pids(options).get(_ONE, before[_ONE]) != before[_ONE])
        between = pids(options)
        await log.resume()
        await wants(log, 1, {_TWO})
        await until(lambda: _TWO in pids(options))
        assert pids(options)[_ONE] == between[_ONE]


async def test_an_envoy_of_other_settings_is_replaced(options: DeployOptions) -> None:
    log = MemoryLog()
    await wants(log, 0, {_ONE})
    async with deploying(log, options):
        await answers(options, _ONE)
    before = pids(options)
    async with deploying(log, replace(options, concurrency=2)):
        await until(lambda: pids(options).get(_ONE, before[_ONE]) != before[_ONE])
        info = await answers(options, _ONE)
        assert info["command_line_options"]["concurrency"] == 2  # type: ignore[index]


async def test_gateways_deleted_while_away_lose_their_proxy(options: DeployOptions) -> None:
    log = MemoryLog()
    await wants(log, 0, {_ONE, _TWO})
    async with deploying(log, options):
        await answers(options, _ONE)
        await answers(options, _TWO)
    await wants(log, 1, set(), {_ONE})
    async with deploying(log, options):
        await until(lambda: pids(options).keys() == {_TWO})


async def test_a_binary_that_is_no_envoy_is_tried_again_and_said(options: DeployOptions, tmp_path: Path) -> None:
    script = tmp_path / "no-envoy"
    script.write_text("not even a script")
    script.chmod(0o755)
    log = MemoryLog()
    await wants(log, 0, {_ONE})
    async with deploying(log, replace(options, envoy=script)) as deployer:
        await until(lambda: deployer.running.get(_ONE) and deployer.running[_ONE].failures >= 2)
        script.unlink()
        script.symlink_to(options.envoy)
        await answers(options, _ONE)


def test_an_envoy_path_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EnvoyMissing, match=r"there is no Envoy at .*--envoy"):
        envoy_binary(tmp_path / "none")
    (tmp_path / "text").write_text("")
    with pytest.raises(EnvoyMissing, match="make it executable"):
        envoy_binary(tmp_path / "text")


@pytest.mark.parametrize("steps", range(5))
async def test_it_ends_when_it_is_cancelled_in_the_moment_of_a_change(options: DeployOptions, steps: int) -> None:
    deployer = Deployer(options)
    task = asyncio.create_task(deployer._keep())
    for _ in range(5):
        await asyncio.sleep(0)
    deployer.wake.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=60)
    ended = task.done()
    task.cancel()
    await asyncio.wait({task})
    assert ended


async def test_a_proxy_that_may_not_be_ended_is_told_of_once(
    options: DeployOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tried again all the same: the process may be another user's only for now."""
    tries: list[int] = []

    async def refused(_: Process, seconds: float = 0) -> None:  # noqa: ARG001
        tries.append(1)
        raise PermissionError(1, "Operation not permitted")

    deployer, process = Deployer(options), spawn(["sleep", "60"], options.directory / "log")
    try:
        remember(deployer._file(_ONE), process, gateway=_ONE, admin_file="")
        monkeypatch.setattr(Process, "stop", refused)
        task = asyncio.create_task(deployer._keep())
        await until(lambda: len(tries) > 3)
        task.cancel()
        await asyncio.wait({task})
    finally:
        monkeypatch.undo()
        process.kill()
    said = [line for line in capsys.readouterr().out.splitlines() if "cannot be ended" in line]
    assert len(said) == 1
    assert str(process.pid) in said[0]
