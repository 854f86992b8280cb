"""What `penstock run` shows of the graph, and what it keeps of it."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from streams.cli.view import Screen, _nodes, _proxies, _Seen, _table, _updates, _words
from streams.codec import dumps
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.topics import PROGRESS, Topic, key

GATEWAY = "c/gateway.networking.k8s.io/Gateway/default/gw"


def row(name: str, value: object, offset: int) -> Outgoing:
    headers = (("offset", b"%d" % offset), ("index", b"%d" % (1 << 40 if name == PROGRESS else 0)))
    return Outgoing(Topic.GRAPH, 0, key("default", name), None if value is None else dumps(value), headers)


async def test_routes_are_not_kept() -> None:
    log, seen = MemoryLog(), _Seen()
    async with log.writer("w") as writer, asyncio.timeout(240):
        await writer.write(
            [
                row(f"gateway/{GATEWAY}", {"gateway": GATEWAY, "listeners": ["web"]}, 0),
                row(f"listener/{GATEWAY}/web", {"name": "web", "port": 80, "attachedRoutes": 7}, 0),
                row("route/c/gateway.networking.k8s.io/HTTPRoute/default/r", {"rules": []}, 0),
                row(PROGRESS, {}, 0),
            ]
        )
        task = asyncio.create_task(_nodes(log, 0, seen))
        while not seen.nodes:
            await asyncio.sleep(0)
        assert sorted(seen.nodes) == [f"gateway/{GATEWAY}", f"listener/{GATEWAY}/web"]
        assert [list(column.cells) for column in _table(seen).columns[:4]] == [["default/gw"], ["web"], ["80"], ["7"]]
        await writer.write([row(f"listener/{GATEWAY}/web", None, 1), row(PROGRESS, {}, 1)])
        while len(seen.nodes) > 1:
            await asyncio.sleep(0)
        task.cancel()


async def test_the_last_change_is_told_in_words() -> None:
    log, seen = MemoryLog(), _Seen()
    update = {
        "offset": 7,
        "changes": [{"verb": "put", "ref": GATEWAY}, {"verb": "tick"}],
        "downstream": {"fragments": {"set": ["a", "b"], "removed": []}},
    }
    async with log.writer("w") as writer, asyncio.timeout(240):
        task = asyncio.create_task(_updates(log, 0, seen.changed))
        assert _table(seen).caption == "no change yet"
        while seen.last == "no change yet":
            for value in (b"garbage", dumps(update)):
                await writer.write([Outgoing(Topic.UPDATES, 0, b"default", value)])
            await asyncio.sleep(0.01)
        task.cancel()
    told = "last change: offset 7: put Gateway default/gw, tick -> 2 fragments set, 0 removed"
    assert _table(seen).caption == told


@pytest.mark.parametrize(("only", "whose"), [("c", ""), ("d", "c: "), (None, "c: ")])
async def test_it_says_whose_it_is_unless_there_is_one_cluster_only(only: str | None, whose: str) -> None:
    """One that is watched no more is served, too."""
    nodes = {f"gateway/{GATEWAY}": {"gateway": GATEWAY, "listeners": []}}
    assert list(_table(_Seen(nodes, only=only)).columns[0].cells) == [f"{whose}default/gw"]
    assert _proxies({"gateway": GATEWAY, "proxies": {}, "lowest": 1}, only) == f"{whose}default/gw: 0 connected, run offset 1"
    assert _proxies({"gateway": GATEWAY, "proxies": {}, "lowest": None}, only) == f"{whose}default/gw: no proxy is connected"
    update = {"offset": 7, "changes": [{"verb": "tick"}], "downstream": {"fragments": {"set": [], "removed": []}}}
    for cluster, said in (("c", whose), ("", "")):
        assert _words({**update, "cluster": cluster}, only).startswith(f"offset 7: {said}tick -> ")


_PROXY = {"connected": True, "error": "", "offset": 9}


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (Topic.UPDATES, {"offset": 1, "changes": [1], "downstream": {}}),
        (Topic.UPDATES, {"offset": 1, "changes": [{"verb": "refused", "location": "a[/b.yaml:3"}], "downstream": {}}),
        (Topic.CONVERGENCE, {"gateway": "a/b/c/d/e", "proxies": None, "lowest": 1}),
        (Topic.CONVERGENCE, {"gateway": "a/b/c/d/e", "proxies": {"p": {"connected": True}}, "lowest": 1}),
        (Topic.CONVERGENCE, {"gateway": "a/b/c/d/e", "proxies": {"p": {**_PROXY, "error": 5}}, "lowest": 1}),
        (Topic.CONVERGENCE, {"gateway": ["a"], "proxies": {}, "lowest": 1}),
        (Topic.CONVERGENCE, {"gateway": "a/b/c/d/e", "proxies": {}, "lowest": {}}),
        (Topic.GRAPH, {"gateway": 5, "listeners": 7}),
        (Topic.GRAPH, [5]),
        (Topic.GRAPH, {"gateway": "a/b/c/d/e", "listeners": ["[/b]", 5, ["x"]]}),
    ],
)
async def test_one_garbage_record_does_not_end_the_run(tmp_path: Path, topic: Topic, value: Any, *, live: bool) -> None:
    """The view shares its task group with the supervisor: what it raised ended roles, Envoys and broker."""
    log, screen = MemoryLog(), Screen(tmp_path, live=live)
    lines = [Outgoing(topic, 0, b"default", dumps(value))]
    if topic is Topic.GRAPH:
        lines = [Outgoing(topic, 0, key("default", "gateway/x"), dumps(value), row("x", {}, 0).headers), row(PROGRESS, {}, 0)]
    good = {"offset": 2, "changes": [{"verb": "tick"}], "downstream": {}}
    async with log.writer("w") as writer, asyncio.timeout(240), asyncio.TaskGroup() as run:
        task = run.create_task(screen.show(log, 0))
        for _ in range(3):
            await writer.write(lines)
            await asyncio.sleep(0)
        while not any("offset 2: tick" in line for line in (*screen._recent, screen._seen.last)):
            await writer.write([Outgoing(Topic.UPDATES, 0, b"default", dumps(good))])
            await asyncio.sleep(0.05)
            assert not task.done()
        task.cancel()


@pytest.mark.parametrize("live", [False, True])
async def test_what_others_wrote_does_nothing_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, live: bool
) -> None:
    log, screen = MemoryLog(), Screen(tmp_path, live=live)
    odd = "\x1b]0;owned\x07"
    update = {"offset": 1, "changes": [{"verb": "refused", "location": odd}], "downstream": {"fragments": {"set": [], "removed": []}}}
    row = {"gateway": "a/b/Gateway/d/e", "proxies": {"p": {**_PROXY, "error": odd}}, "lowest": 1}
    shown = "\\x1b]0;owned\\x07"
    task = asyncio.create_task(screen.show(log, 0))
    async with log.writer("w") as writer, asyncio.timeout(240):
        while "owned" not in "".join((*screen._recent, _drawn(screen))):
            await writer.write([Outgoing(Topic.UPDATES, 0, b"default", dumps(update)), Outgoing(Topic.CONVERGENCE, 0, b"a", dumps(row))])
            await asyncio.sleep(0.05)
    screen.say("proxy", odd)
    task.cancel()
    await asyncio.wait({task})
    assert f"proxy        {shown}" in screen._recent
    assert shown in "".join((*screen._recent, _drawn(screen)))
    assert "\x1b]0" not in "".join((*screen._recent, _drawn(screen), capsys.readouterr().out))


def _drawn(screen: Screen) -> str:
    drawing = io.StringIO()
    Console(file=drawing, width=200).print(_table(screen._seen))
    return drawing.getvalue()


async def test_a_view_that_fails_is_told_of_once_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(MemoryLog):
        tries = 0

        async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
            self.tries += 1
            msg = "[/what nobody thought of"
            raise KeyError(msg)

    monkeypatch.setattr("streams.backoff._LONGEST_SECONDS", 0.01)
    monkeypatch.setattr("streams.cli.view._PAUSE_SECONDS", 0.01)
    for live in (False, True):
        log, screen = Broken(), Screen(tmp_path, live=live)
        task = asyncio.create_task(screen.show(log, 0))
        async with asyncio.timeout(240):
            while log.tries < 8:
                await asyncio.sleep(0.01)
        assert not task.done()
        told = [line for line in screen._recent if "cannot be shown" in line]
        assert len(told) == 1
        assert "what nobody thought of" in told[0]
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("live", [False, True])
async def test_a_view_ends_that_is_told_to_just_when_it_fails(tmp_path: Path, *, live: bool) -> None:
    """The group of its tasks forgot it: `penstock run` went on after Ctrl-C (seen once in a busy test)."""

    class Broken(MemoryLog):
        async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
            shown.cancel()
            raise KeyError

        async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
            shown.cancel()
            raise KeyError
            yield []

    shown = asyncio.create_task(Screen(tmp_path, live=live).show(Broken(), 0))
    await asyncio.wait({shown}, timeout=5)
    assert shown.cancelled()


def test_a_rejection_ends_no_line() -> None:
    proxy = {"connected": True, "error": "Error adding listener: no\n"}
    row = {"gateway": GATEWAY, "proxies": {"a": proxy}, "lowest": 1}
    assert _proxies(row, "c") == "default/gw: 1 connected, run offset 1; rejected: Error adding listener: no"
