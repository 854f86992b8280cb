"""What ends a quarantine: that its Envoy is gone, and nothing before; what the next one says of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.events import Lift, Quarantine
from engine.ref import parse_ref
from engine.update import FragmentKind, parse_fragment_key
from streams.topics import Topic
from streams.view import read_table
from streams.xds.lift import lifts, quarantines
from streams.xds.messages import CLUSTER, LISTENER, ROUTES
from tests.support.manifests import gateway
from tests.support.odd_proxy import OddProxy
from tests.support.running import free_port
from tests.support.story import backend, certificate
from tests.xds.plane import GATEWAY, Plane, until
from tests.xds.test_judging import cluster, condemned, judged, odd, odd_envoy, resolved
from tests.xds.test_quarantine import populate

_RAN = "1.39.0"


async def held_by_another_envoy(plane: Plane, version: str = _RAN) -> None:
    """A quarantine that a proxy of another version brought about, though there is nothing wrong."""
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
        key = await plane.fragment(FragmentKind.CLUSTER, "_b_")
        row = (await read_table(plane.log, Topic.XDS, 0)).rows[key]
        parsed = parse_fragment_key(key)
        objects = ((backend("").ref, 1),)
        await plane.tell(Quarantine(parsed.gateway, key, row.header("version"), objects, "no such thing", version))
        await resolved(plane)
    assert list((await plane.quarantines()).values()) == [version]


async def ended(proxy: OddProxy) -> None:
    """Wait until the publisher has ended a stream that its proxy has ended."""
    async with asyncio.timeout(240):
        await proxy.call.code()


async def lifted(plane: Plane) -> None:
    async def told() -> bool:
        return bool(await plane.said(Lift))

    await until(told)


@pytest.mark.parametrize(
    ("ran", "running", "is_lifted"),
    [
        (_RAN, {GATEWAY: {"1.40.0"}}, True),
        (_RAN, {GATEWAY: {"1.40.0", "1.41.0"}}, True),
        (_RAN, {GATEWAY: {_RAN}}, False),
        (_RAN, {GATEWAY: {_RAN, "1.40.0"}}, False),
        (_RAN, {GATEWAY: {"", "1.40.0"}}, False),  # One of them may be of that version.
        (_RAN, {GATEWAY: set[str]()}, False),
        (_RAN, {f"{GATEWAY}2": {"1.40.0"}}, False),
        (_RAN, {f"{GATEWAY}2": {"1.40.0"}, GATEWAY: {_RAN}}, False),
        ("", {GATEWAY: {"1.40.0"}}, False),
    ],
)
async def test_when_a_quarantine_is_lifted(
    tmp_path: Path, ran: str, running: dict[str, set[str]], *, is_lifted: bool
) -> None:
    plane = Plane(tmp_path)
    await held_by_another_envoy(plane, ran)
    assert bool(lifts((await quarantines(plane.log, 0)).rows.values(), running)) is is_lifted


async def test_nothing_is_lifted_while_a_proxy_of_the_old_version_runs(tmp_path: Path) -> None:
    """Its rejection would only come again."""
    plane = Plane(tmp_path)
    await held_by_another_envoy(plane)
    name = await cluster(plane, "_s_")
    async with plane.publishing(), odd(plane, "1.40.0", "new") as new:
        async with odd(plane, _RAN, "old") as old:
            await old.ask(CLUSTER, name)
            await new.ask(CLUSTER, name)
            await new.answer("judged after the new one was looked at")
            await judged(plane)
            assert not await plane.said(Lift)
        await lifted(plane)
        assert len(await plane.said(Lift)) == 1


async def test_nothing_is_lifted_while_a_proxy_of_the_publisher_before_may_be_on_its_way(tmp_path: Path) -> None:
    """One of the old version came five seconds after a restart: all had been lifted, and nobody judged it again."""
    plane = Plane(tmp_path, returning=3_600.0)
    await held_by_another_envoy(plane)
    name = await cluster(plane, "_s_")
    async with plane.publishing(), odd(plane, "1.40.0", "new") as new:
        await new.ask(CLUSTER, name)
        await new.answer("judged after it was looked at")
        await judged(plane)
        assert not await plane.said(Lift)
    plane.returning = 0.1
    async with plane.publishing(), odd(plane, "1.40.0", "new") as new:
        await new.ask(CLUSTER, name)
        await lifted(plane)


async def test_a_look_at_quarantines_waits_for_the_log(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    await held_by_another_envoy(plane)
    name = await cluster(plane, "_s_")
    async with plane.publishing(), odd(plane, _RAN, "old") as old:
        await old.ask(CLUSTER, name)
        plane.log.down = True
        async with odd(plane, "1.40.0", "new") as new:
            await new.ask(CLUSTER, name)
            await old.call.done_writing()
            await ended(old)
            await plane.log.resume()
            await lifted(plane)


@pytest.mark.parametrize("is_rolling", [False, True])
async def test_what_the_next_envoy_rejects_too_stays_held_and_names_it(tmp_path: Path, *, is_rolling: bool) -> None:
    """Also where the quarantine leaves what is published as it is, so that nothing is sent anew by its end."""
    plane = Plane(tmp_path, FragmentKind.LISTENER, shared_address=False)
    await plane.tell(gateway("gw", {"name": "http", "port": free_port(), "protocol": "HTTP"}, generation=2))
    async with plane.resolving():
        await resolved(plane)
        key = await plane.fragment(FragmentKind.LISTENER)

        async def held_by(version: str) -> None:
            async def named() -> bool:
                return await plane.quarantines() == {key: version}

            await until(named)

        async with plane.publishing():
            async with odd(plane, _RAN, "old") as old:
                await old.ask(LISTENER, parse_fragment_key(key).name)
                await old.answer("no")
                await held_by(_RAN)
                if is_rolling:
                    async with plane.envoy():
                        await held_by("1.40.0")
            async with plane.envoy("1"):
                await held_by("1.40.0")
                nacks = len(await plane.reports("nack"))
                async with plane.envoy("2"):

                    async def another() -> bool:
                        return len(await plane.reports("nack")) > nacks

                    await until(another)
                # While the old one was the last that ran, that of the next was lifted: it may come only now.
                await held_by("1.40.0")


async def test_a_lift_of_one_envoy_leaves_what_the_next_has_rejected_meanwhile(tmp_path: Path) -> None:
    """Who lifts it reads the state, which may lack the latest verdict."""
    plane = Plane(tmp_path)
    await held_by_another_envoy(plane, "1.40.0")
    held = await plane.quarantines()
    async with plane.resolving():
        for late in lifts([{"gateway": GATEWAY, "fragment": one, "envoy": _RAN} for one in held], {GATEWAY: {"1.40.0"}}):
            await plane.tell(late)
        await resolved(plane)
        assert await plane.quarantines() == held
        await plane.tell(Lift(parse_ref(GATEWAY), next(iter(held)), reason="by hand"))
        await resolved(plane)
        assert not await plane.quarantines()


async def test_what_is_lifted_by_hand_is_judged_again_though_it_is_published_unchanged(tmp_path: Path) -> None:
    """A listener that was never good: its quarantine serves it as it is. The next proxy that comes tries it."""
    plane = Plane(tmp_path, FragmentKind.LISTENER, shared_address=False)
    await plane.tell(gateway("gw", {"name": "http", "port": free_port(), "protocol": "HTTP"}, generation=2))
    async with plane.resolving():
        await resolved(plane)
        async with plane.publishing(), plane.envoy():
            (first,) = await condemned(plane)
            await resolved(plane)
            await plane.tell(Lift(first.gateway, first.fragment, reason="try again"))
            await resolved(plane)
            async with plane.envoy("1"):
                _, again = await condemned(plane, 2)
                assert again == first


async def test_what_is_withheld_is_served_again_once_its_quarantine_is_lifted(tmp_path: Path) -> None:
    """To proxies of a version that takes it, by a publisher whose own Envoy does not."""
    plane = Plane(tmp_path)
    tls = {"port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    both = [{"name": name, "hostname": f"{name}.example.com", **tls} for name in ("a", "b")]
    await plane.tell(gateway("gw", *both), certificate())
    async with plane.resolving():
        await resolved(plane)
        host = parse_fragment_key(await plane.fragment(FragmentKind.VIRTUAL_HOST, "misdirected"))
        table = host.name.removesuffix("~~misdirected-request")
        async with plane.publishing(odd_envoy(tmp_path, "grep -qaF misdirected $4 && exit 1")):
            async with odd(plane, _RAN, "old") as old:
                await old.ask(CLUSTER)
                await old.answer()
                assert b"misdirected" in await old.ask(ROUTES, table)
                await old.answer("no")
                (told,) = await condemned(plane)
                assert told.fragment == str(host)
                assert b"misdirected" not in await old.read()
                await resolved(plane)
            async with odd(plane, "1.40.0", "new") as new:
                await new.ask(CLUSTER)
                await new.answer()
                await lifted(plane)
                sent = await new.ask(ROUTES, table)
                if b"misdirected" not in sent:
                    await new.answer()
                    sent = await new.read()
                assert b"misdirected" in sent


async def test_a_listener_held_for_its_address_is_lifted_when_that_is_another(tmp_path: Path) -> None:
    """The address is the operator's, and stands in no object: no revision of a Gateway would end it."""
    plane = Plane(tmp_path, bind="fe80::1%nosuch")
    await populate(plane)
    async with plane.resolving():
        await resolved(plane)
        async with plane.publishing(), plane.envoy():
            told = await condemned(plane, 2)
            assert all("malformed IP address" in one.error for one in told)
            assert [one.address for one in told] == ["fe80::1%nosuch"] * 2
            await resolved(plane)
        assert set((await plane.quarantines()).values()) == {"1.40.0"}
    # As long as the address is the same, a restart changes nothing.
    async with plane.resolving(), plane.publishing(), plane.envoy("1"):
        await condemned(plane, 4)
        await resolved(plane)
        assert len(await plane.quarantines()) == 2
        assert not await plane.said(Lift)
    plane.bind = "127.0.0.1"
    async with plane.resolving(), plane.publishing(), plane.envoy("2"):

        async def free() -> bool:
            return not await plane.quarantines()

        await until(free)
        await plane.converges()
    assert len(await plane.said(Lift)) == 2


async def test_what_was_held_before_addresses_were_noted_is_not_lifted_for_one(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    await held_by_another_envoy(plane)
    there = (await quarantines(plane.log, 0)).rows
    assert there
    assert not lifts(there.values(), {GATEWAY: {_RAN}}, "127.0.0.2")
