"""How a verdict is come to: once for each guilty piece, in spite of a log or an Envoy that is away for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.events import Lift, Quarantine
from engine.update import FragmentKind, parse_fragment_key
from streams.sinks.local_envoy import envoy_binary
from streams.topics import Topic
from streams.view import read_table
from streams.xds.messages import CLUSTER, LISTENER, ROUTES, parse_response
from tests.support.manifests import gateway, route
from tests.support.odd_proxy import OddProxy, odd_proxy, reject
from tests.support.story import backend
from tests.xds.plane import GATEWAY, Plane, until
from tests.xds.test_quarantine import populate


async def resolved(plane: Plane) -> None:
    """Wait until all that was told is published."""

    async def whole() -> bool:
        _, end = await plane.log.ends(Topic.CHANGES, 0)
        last = [one.offset async for batch in plane.log.read(Topic.CHANGES, 0) for one in batch][-1]
        assert last < end
        return (await read_table(plane.log, Topic.XDS, 0)).progress >= last

    await until(whole)


@asynccontextmanager
async def odd(plane: Plane, version: str = "1.40.0", name: str = "odd") -> AsyncIterator[OddProxy]:
    async with odd_proxy(plane.socket, GATEWAY, version=version, name=name) as one:
        yield one


async def cluster(plane: Plane, of: str) -> str:
    """The name of a backend's cluster."""
    return parse_fragment_key(await plane.fragment(FragmentKind.CLUSTER, of)).name


async def judged(plane: Plane, count: int = 1) -> list[dict[str, Any]]:
    """What was acquitted, once it is so many."""

    async def acquitted() -> bool:
        return len(await plane.reports("unconfirmed")) >= count

    await until(acquitted)
    return await plane.reports("unconfirmed")


async def condemned(plane: Plane, count: int = 1) -> list[Quarantine]:
    async def told() -> bool:
        return len(await plane.said(Quarantine)) >= count

    await until(told)
    return await plane.said(Quarantine)


def odd_envoy(folder: Path, script: str) -> Path:
    """An isolated Envoy that does something first; `$4` is the file that it is started with."""
    path = folder / "envoy"
    path.write_text(f'#!/bin/sh\n{script}\nexec {envoy_binary(None)} "$@"\n')
    path.chmod(0o755)
    return path


async def test_a_proxy_is_served_without_the_guilty_route_before_the_log_takes_the_verdict(tmp_path: Path) -> None:
    """Else one that starts in between would have no routes at all."""
    plane = Plane(tmp_path, FragmentKind.ROUTE)
    await populate(plane)
    await plane.tell(route("r", path="/second", generation=2))
    async with plane.resolving():
        await resolved(plane)
    async with plane.publishing(), plane.envoy():
        await plane.converges()
        assert not await plane.quarantines()
        both = await condemned(plane, 2)
    assert {one.error for one in both} == {one["error"] for one in await plane.reports("nack")} == {"missing ]: ["}
    assert {one.objects for one in both} == {((route("r").ref, 2),)}


@pytest.mark.parametrize("others", [3, 60])
async def test_what_a_proxy_took_is_not_asked_again(tmp_path: Path, others: int) -> None:
    """An isolated Envoy costs as much as a proxy's start: two runs for one bad route, among however many."""
    plane, runs = Plane(tmp_path, FragmentKind.ROUTE), tmp_path / "runs"
    await populate(plane)
    await plane.tell(*(route(f"other{number}", path=f"/{number}") for number in range(others)))
    async with plane.resolving():
        await resolved(plane)
        # Where the others stand in what it is asked, it is asked for too much.
        async with plane.publishing(odd_envoy(tmp_path, f"grep -ac /other $4 >> {runs}")), plane.envoy():
            await plane.converges()
            await plane.tell(route("r", path="/second", generation=2))
            assert {one.objects for one in await condemned(plane, 2)} == {((route("r").ref, 2),)}
            await resolved(plane)
            await plane.converges()
    assert runs.read_text().split() == ["0"] * 4  # It stands in the tables of two listeners.


async def test_a_piece_is_condemned_once_though_every_proxy_rejects_it(tmp_path: Path) -> None:
    """And what stands beside it is judged by itself."""
    plane = Plane(tmp_path, FragmentKind.CLUSTER)
    await populate(plane)
    await plane.tell(backend("127.0.0.9", 2))
    async with plane.resolving():
        await resolved(plane)
    bad, good = await cluster(plane, "_b_"), await cluster(plane, "_s_")
    async with plane.publishing():
        for name in (bad, bad, good):
            await reject(plane.socket, "", GATEWAY, (CLUSTER, name), "no")
        (found,) = await judged(plane)
        assert list(found["resources"]) == [good]
        assert [one.fragment for one in await plane.said(Quarantine)] == [
            await plane.fragment(FragmentKind.CLUSTER, "_b_")
        ]


async def test_what_is_rejected_again_is_judged_again(tmp_path: Path) -> None:
    """The same revision once somebody has lifted its quarantine, and the next one."""
    plane = Plane(tmp_path, FragmentKind.CLUSTER)
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
        async with plane.publishing(), plane.envoy():
            await plane.converges()
            await plane.tell(backend("127.0.0.9", 2))
            (first,) = await condemned(plane)
            await resolved(plane)
            await plane.tell(Lift(first.gateway, first.fragment))
            _, again = await condemned(plane, 2)
            assert again == first
            await resolved(plane)
            await plane.tell(backend("third.invalid", 3))
            third = (await condemned(plane, 3))[2]
            assert (third.fragment, third.objects) == (first.fragment, ((backend("").ref, 3),))
            assert third.version != first.version


async def test_while_the_isolated_envoy_does_not_work_nobody_is_judged_and_then_all_are(tmp_path: Path) -> None:
    plane = Plane(tmp_path, FragmentKind.CLUSTER)
    await populate(plane)
    await plane.tell(backend("127.0.0.9", 2))
    async with plane.resolving():
        await resolved(plane)
    name, works, runs = await cluster(plane, "_b_"), tmp_path / "works", tmp_path / "runs"
    script = f"echo >> {runs}; [ -e {works} ] || exit 1"
    with capture_logs() as logs:
        async with plane.publishing(odd_envoy(tmp_path, script)), odd(plane) as one:
            await one.ask(CLUSTER, name)
            await one.answer("no")
            await reject(plane.socket, "", GATEWAY, (CLUSTER, name), "I am gone when it works again")

            async def tried() -> bool:
                # Each time it is asked twice, the second time for an empty config.
                return runs.exists() and len(runs.read_text()) >= 6

            await until(tried)
            assert sum("cannot be judged" in str(one["event"]) for one in logs) == 1
            assert not await plane.said(Quarantine)
            assert not await plane.reports("unconfirmed")
            works.touch()
            (found,) = await condemned(plane)
            assert found.error == "no"


async def test_what_was_acquitted_is_not_sent_again(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
    async with plane.publishing(), odd(plane) as one:
        await one.ask(CLUSTER, await cluster(plane, "_b_"))
        await one.answer("no")
        await judged(plane)
        other = await cluster(plane, "_s_")
        assert list(parse_response(await one.ask(CLUSTER, other)).resources) == [other]


@pytest.mark.parametrize(("version", "told"), [("1.40.0", False), ("1.39.0", True), ("", False)])
async def test_it_is_told_that_the_isolated_envoy_is_of_another_version(
    tmp_path: Path, version: str, *, told: bool
) -> None:
    """What that one takes says little of what rejected it: perhaps all proxies of that version do."""
    plane = Plane(tmp_path)
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
    with capture_logs() as logs:
        async with plane.publishing(), odd(plane, version) as one:
            await one.ask(CLUSTER, await cluster(plane, "_b_"))
            await one.answer("no")
            await judged(plane)
    (said,) = [one for one in logs if "so nothing is quarantined" in one["event"]]
    assert ("name an Envoy of its version in PENSTOCK_ENVOY" in said["event"]) is told
    assert (said["envoy"], said["isolated"]) == (version, "1.40.0")


async def test_a_rejected_removal_is_told_as_one(tmp_path: Path) -> None:
    """There is no config in it that an isolated Envoy could take."""
    plane = Plane(tmp_path)
    told = await populate(plane)
    http, tls = told.object["spec"]["listeners"]
    name = f"listener~{tls['port']}"
    async with plane.resolving():
        await resolved(plane)
        with capture_logs() as logs:
            async with plane.publishing(), odd(plane) as one:
                await one.ask(LISTENER)
                await one.answer()
                await plane.tell(gateway("gw", http, generation=2))
                assert parse_response(await one.read()).removed == [name]
                await one.answer("I need it")

                async def reported() -> bool:
                    return bool(await plane.reports("nack"))

                await until(reported)
                await one.ask(CLUSTER, await cluster(plane, "_s_"))
                await one.answer("and not this")
                (acquitted,) = await judged(plane)
    assert acquitted["error"] == "and not this"
    assert [one["removal"] for one in await plane.reports("nack")] == [True, False]
    (said,) = [one for one in logs if one.get("resources") == [name]]
    assert said["event"].startswith("a proxy rejected a removal")


async def test_an_acquittal_of_what_was_replaced_meanwhile_is_not_told(tmp_path: Path) -> None:
    """People would look at a proxy that has taken what there is."""
    plane, go = Plane(tmp_path), tmp_path / "go"
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
        waits = f"while [ ! -e {go} ]; do sleep 0.05; done"
        async with plane.publishing(odd_envoy(tmp_path, waits)), odd(plane) as one:
            await one.ask(CLUSTER, await cluster(plane, "_b_"))
            await one.answer("no")
            await plane.tell(backend("example.com", 2))
            await one.read()
            await one.answer()
            other = await cluster(plane, "_s_")
            await one.ask(CLUSTER, other)
            await one.answer("not this either")
            go.touch()
            assert [list(one["resources"]) for one in await judged(plane)] == [[other]]


async def test_a_verdict_waits_for_the_log(tmp_path: Path) -> None:
    plane = Plane(tmp_path, FragmentKind.CLUSTER)
    await populate(plane)
    await plane.tell(backend("127.0.0.9", 2))
    async with plane.resolving():
        await resolved(plane)
    name = await cluster(plane, "_b_")
    with capture_logs() as logs:
        async with plane.publishing(), odd(plane) as one:
            await one.ask(CLUSTER, name)
            plane.log.down = True
            await one.answer("no")

            async def waits() -> bool:
                return any(one["event"] == "a verdict waits for the log" for one in logs)

            await until(waits)
            await plane.log.resume()
            assert len(await condemned(plane)) == 1


async def test_a_rejected_virtual_host_names_what_shares_it_and_stays_away(tmp_path: Path) -> None:
    """Through a restart of the publisher, which knows nothing of it, too; its routes are served elsewhere."""
    plane = Plane(tmp_path)
    await plane.tell(gateway("gw", {"name": "http", "port": 8080, "protocol": "HTTP"}))
    await plane.tell(route("r", hostnames=["refused.example.com", "r.example.com"]), route("other"))
    envoy = odd_envoy(tmp_path, "grep -qaF refused.example.com $4 && exit 1")
    async with plane.resolving():
        await resolved(plane)
        host = await plane.fragment(FragmentKind.VIRTUAL_HOST, "refused")
        for name in ("one", "two"):
            async with plane.publishing(envoy), odd(plane, name=name) as one:
                await one.ask(CLUSTER)
                await one.answer()
                sent = await one.ask(ROUTES, "listener~8080")
                if b"refused.example.com" in sent:
                    assert name == "one"
                    await one.answer("no")
                    (told,) = await condemned(plane)
                    assert told.fragment == host
                    assert told.objects == ((gateway().ref, 1), (route("r").ref, 1))
                    sent = await one.read()
                await one.answer()
                assert b"refused.example.com" not in sent
                assert b"r.example.com" in sent
                await resolved(plane)
        assert host in await plane.quarantines()
        assert len(await plane.said(Quarantine)) == 1


async def test_two_bad_edits_before_the_first_verdict_hold_up_nobody(tmp_path: Path) -> None:
    """What the engine falls back to is bad, too: it has to end, or nothing of the table would ever be taken again."""
    plane = Plane(tmp_path, FragmentKind.ROUTE)
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
        await plane.tell(route("r", path="/second", generation=2))
        await plane.tell(route("r", path="/third", generation=3))
        await resolved(plane)
        async with plane.publishing(), plane.envoy():
            await plane.converges()
            await plane.tell(route("later"))
            await resolved(plane)
            await plane.converges()
        said = await plane.said(Quarantine)
        assert {ref for one in said for ref, _ in one.objects} == {route("r").ref}
        assert {generation for one in said for _, generation in one.objects} == {2, 3}
